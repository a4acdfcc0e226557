package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
)

const (
	// failureDays leaves an operator a month to find out why replays fail.
	failureDays = 30
	// abortDays ends uploads whose writer died; S3 charges for their parts.
	abortDays = 1
)

// bucket makes a closed bucket whose objects go after some days. It is not
// versioned: every object is written once and has a name of its own, and a
// version would outlive the day on which its account was promised its removal.
func (d *Data) bucket(id string, p Props, keep int) awss3.Bucket {
	b := awss3.NewBucket(d.Construct, jsii.String(id), &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		RemovalPolicy:     p.removal(),
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Expiration:                          days(keep),
			AbortIncompleteMultipartUploadAfter: days(abortDays),
		}},
	})
	suppress(b, "AwsSolutions-S1", "S3's access logs hold whole request URIs, and with them the signatures of the links that customers follow; "+
		"who got a link is in the logs of the functions, which alone reach the bucket.")
	return b
}
