package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
)

// topics makes those of the alarms and of the notices. Their key is their own:
// CloudWatch must be let into it, as a topic under the key of AWS's takes no
// message from an alarm.
func (d *Data) topics(p Props) {
	d.topicsKey = awskms.NewKey(d.Construct, jsii.String("AlarmsKey"), &awskms.KeyProps{
		Description:       jsii.String("Encrypts the messages of Jobhook's topics"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     p.removal(),
	})
	d.topicsKey.AddToResourcePolicy(toCloudWatch(jsii.String("*"), "kms:Decrypt", "kms:GenerateDataKey*"), nil)
	d.Alarms = d.topic("Alarms", "Jobhook "+p.Stage)
	d.Notices = d.topic("Notices", "Jobhook "+p.Stage+" endpoints")
	publish := toCloudWatch(d.Alarms.TopicArn(), "sns:Publish")
	publish.AddCondition(jsii.String("ArnLike"), map[string]any{"aws:SourceArn": d.anyAlarm()})
	d.Alarms.AddToResourcePolicy(publish)
	if p.AlarmEmail != "" {
		awssns.NewSubscription(d.Construct, jsii.String("AlarmEmail"), &awssns.SubscriptionProps{
			Topic: d.Alarms, Protocol: awssns.SubscriptionProtocol_EMAIL, Endpoint: jsii.String(p.AlarmEmail),
		})
	}
}

// topic makes one that takes no message over a plain connection. Its policy takes
// the place of the one that lets the account publish: a role must be allowed to.
func (d *Data) topic(id, name string) awssns.Topic {
	return awssns.NewTopic(d.Construct, jsii.String(id), &awssns.TopicProps{
		DisplayName: jsii.String(name), MasterKey: d.topicsKey, EnforceSSL: jsii.Bool(true),
	})
}

// anyAlarm of this account and region.
func (d *Data) anyAlarm() *string {
	return awscdk.Stack_Of(d.Construct).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("cloudwatch"), Resource: jsii.String("alarm"), ResourceName: jsii.String("*"),
		ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
}

// toCloudWatch lets its alarms use a resource. In the policy of a key, * is the
// key; a condition on the source is not known to work there.
func toCloudWatch(resource *string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Alarms"),
		Actions:    jsii.Strings(actions...),
		Resources:  &[]*string{resource},
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
	})
}
