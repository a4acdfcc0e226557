// Package browser has the tests of the dashboard in a real browser: they start
// the product as users do, drive Chromium against it, and look at what a reader
// sees. There is nothing in it but tests.
package browser
