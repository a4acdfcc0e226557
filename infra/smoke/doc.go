// Package smoke holds a test and nothing else: a stage is synthesised, created
// in moto as far as moto knows its resources, and run. The binaries of the
// functions get the environment that CloudFormation resolved and are fed as
// their event source mappings say, until jobs that were written with the plain
// SDK have led to webhooks.
//
// What moto does not have, the test does in its place, as the templates say:
// it polls, routes requests, ticks, and writes down batches that were given up.
// Nobody here refuses what a policy does not allow, so policies are asserted on
// the templates, in the package above. That API Gateway, the alarms and the
// dashboard work is not shown either.
package smoke
