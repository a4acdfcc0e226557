package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/shared/files"
)

const (
	// failureDays leaves an operator a month to find out why replays fail.
	failureDays = 30
	// abortDays ends uploads whose writer died; S3 charges for their parts.
	abortDays = 1
)

// results makes the bucket of uploads and of the files that become of them.
func (d *Data) results(p Props) awss3.Bucket {
	return d.bucket("Results", p,
		expire(files.Results, p.Days.Results),
		expire(files.Records, p.Days.Results+p.Days.Deliveries), // the run that they were uploaded for may last long
		expire(files.Inputs, p.Days.Deliveries))
}

// expire is a rule by which the objects under a prefix go after some days.
func expire(prefix string, keep int) *awss3.LifecycleRule {
	rule := &awss3.LifecycleRule{Expiration: days(keep)}
	if prefix != "" {
		rule.Prefix = jsii.String(prefix)
	}
	return rule
}

// bucket makes a closed bucket whose objects go by these rules. It is not
// versioned: every object is written once and has a name of its own, and a
// version would outlive the day on which its account was promised its removal.
func (d *Data) bucket(id string, p Props, rules ...*awss3.LifecycleRule) awss3.Bucket {
	rules = append(rules, &awss3.LifecycleRule{AbortIncompleteMultipartUploadAfter: days(abortDays)})
	b := awss3.NewBucket(d.Construct, jsii.String(id), &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		RemovalPolicy:     p.removal(),
		LifecycleRules:    &rules,
	})
	suppress(b, "AwsSolutions-S1", "S3's access logs hold whole request URIs, and with them the signatures of the links that customers follow; "+
		"who got a link is in the logs of the functions, which alone reach the bucket.")
	return b
}
