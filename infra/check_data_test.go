//go:build !race

package main

import (
	"slices"
	"strings"

	"github.com/jobhook/jobhook/shared/files"
)

// checkTables holds to the keys that the store relies on.
func checkTables(d deployment, c *complaints) {
	want := []string{"DataDeliveries"}
	if !d.Attached {
		want = append(want, "DataJobs")
		c.table(d, "DataJobs", "id", "kind", "account", "account", "created_at")
		c.props(d, "DataJobs", map[string]any{"StreamSpecification": map[string]any{"StreamViewType": "NEW_AND_OLD_IMAGES"}, "TimeToLiveSpecification": nil})
	}
	c.same("tables", d.of("AWS::DynamoDB::Table"), want)
	c.table(d, "DataDeliveries", "pk", "sk", "due", "due_shard", "due_at")
	c.props(d, "DataDeliveries", map[string]any{
		"StreamSpecification": nil, "TimeToLiveSpecification": map[string]any{"AttributeName": "ttl", "Enabled": true},
	})
}

func (c *complaints) table(d deployment, name, partition, sort, index, indexPartition, indexSort string) {
	keys := func(partition, sort string) []map[string]any {
		return []map[string]any{{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}}
	}
	c.props(d, name, map[string]any{
		"KeySchema": keys(partition, sort), "BillingMode": "PAY_PER_REQUEST",
		"PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled": true,
		"GlobalSecondaryIndexes.0.IndexName":                          index,
		"GlobalSecondaryIndexes.0.KeySchema":                          keys(indexPartition, indexSort),
		"GlobalSecondaryIndexes.0.Projection":                         map[string]any{"ProjectionType": "KEYS_ONLY"},
		"GlobalSecondaryIndexes.1":                                    nil,
	})
	for _, a := range objects(d.at(name, "AttributeDefinitions")) {
		c.same(name+" attribute", a["AttributeType"], "S")
	}
}

// checkBuckets holds to closed buckets that do not grow for ever.
func checkBuckets(d deployment, c *complaints) {
	c.same("buckets", d.of("AWS::S3::Bucket"), []string{"DataFailures", "DataResults"})
	for _, b := range []string{"DataFailures", "DataResults"} {
		c.props(d, b, map[string]any{
			"PublicAccessBlockConfiguration": map[string]bool{
				"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
			},
			"BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm": "AES256",
			"OwnershipControls.Rules.0.ObjectOwnership":                                                       "BucketOwnerEnforced",
			"AccessControl": nil,
		})
		c.tlsOnly(d, "AWS::S3::BucketPolicy", "Bucket", b)
	}
	c.expiry(d, "DataFailures", "")
	c.expiry(d, "DataResults", files.Results, files.Records, files.Inputs)
	days := func(rule string) float64 {
		return d.number("DataResults", "LifecycleConfiguration.Rules."+rule+".ExpirationInDays")
	}
	if days("1") != days("0")+days("2") {
		c.add("records go after %v days, before a long run that they were uploaded for may have ended", days("1"))
	}
}

// expiry holds to a bucket whose objects go, all that are under the prefixes and
// with them all that there are, and uploads that were never finished.
func (c *complaints) expiry(d deployment, bucket string, prefixes ...string) {
	rules := objects(d.at(bucket, "LifecycleConfiguration.Rules"))
	if len(rules) != len(prefixes)+1 {
		c.add("%s has %d rules, want one for each of %q and one for broken uploads", bucket, len(rules), prefixes)
		return
	}
	for i, prefix := range prefixes {
		given, _ := rules[i]["Prefix"].(string)
		keep, _ := rules[i]["ExpirationInDays"].(float64)
		if given != prefix || keep < 1 || rules[i]["Status"] != "Enabled" {
			c.add("%s keeps its objects under %q for ever: %s", bucket, prefix, asJSON(rules[i]))
		}
	}
	c.same(bucket+" ends uploads by", rules[len(prefixes)], map[string]any{
		"AbortIncompleteMultipartUpload": map[string]any{"DaysAfterInitiation": 1}, "Status": "Enabled",
	})
}

// checkKeys holds to keys that rotate, and to who is let into them.
func checkKeys(d deployment, c *complaints) {
	c.same("keys", d.of("AWS::KMS::Key"), []string{"DataAlarmsKey", "DataSecretsKey"})
	for _, k := range d.of("AWS::KMS::Key") {
		c.props(d, k, map[string]any{"EnableKeyRotation": true})
	}
	c.same("who is let into DataSecretsKey", services(d.at("DataSecretsKey", "KeyPolicy.Statement")), []string{})
	c.same("who is let into DataAlarmsKey", services(d.at("DataAlarmsKey", "KeyPolicy.Statement")), []string{
		"cloudwatch.amazonaws.com kms:Decrypt", "cloudwatch.amazonaws.com kms:GenerateDataKey*"})
}

// checkTopics holds to topics that nobody reads along, one that alarms can really
// publish to, and one that no service of AWS can.
func checkTopics(d deployment, c *complaints) {
	topics := []string{"DataAlarms", "DataNotices"}
	c.same("topics", d.of("AWS::SNS::Topic"), topics)
	for _, topic := range topics {
		c.same(topic+" KmsMasterKeyId", d.at(topic, "KmsMasterKeyId"), topicsKeyARN)
		c.tlsOnly(d, "AWS::SNS::TopicPolicy", "Topics", topic)
	}
	c.same("who may publish to DataAlarms", services(d.at("DataAlarmsPolicy", "PolicyDocument.Statement")), []string{"cloudwatch.amazonaws.com sns:Publish"})
	c.same("who may publish to DataNotices", services(d.at("DataNoticesPolicy", "PolicyDocument.Statement")), []string{})
}

// services returns the services of AWS that a policy allows something, and
// what.
func services(statements any) []string {
	allowed := []string{}
	for _, s := range objects(statements) {
		principal, _ := s["Principal"].(map[string]any)
		for _, service := range list(principal["Service"]) {
			for _, action := range list(s["Action"]) {
				if s["Effect"] == "Allow" {
					allowed = append(allowed, service+" "+action)
				}
			}
		}
	}
	return allowed
}

// checkRemoval holds to what becomes of data when its stack goes: all of it
// stays, or all of it goes.
func checkRemoval(d deployment, c *complaints) {
	want := d.Resources["DataDeliveries"].DeletionPolicy
	kinds := []string{"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Logs::LogGroup"}
	for name, r := range d.Resources {
		if slices.Contains(kinds, r.Type) || strings.HasSuffix(name, "DeadLetters") {
			c.same(name+" DeletionPolicy", r.DeletionPolicy, want)
		}
	}
	c.same("DataDeliveries DeletionProtectionEnabled", d.at("DataDeliveries", "DeletionProtectionEnabled"), want == "Retain")
}
