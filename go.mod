module github.com/jobhook/jobhook

go 1.26

ignore ./node_modules

ignore ./cdk.out
