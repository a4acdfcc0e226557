package dashboard

import (
	"net/http"
	"strconv"

	"github.com/jobhook/jobhook/shared/webhook"
)

// failure explains an attempt that did not succeed.
type failure struct {
	short string // for lists
	means string
	todo  string
}

// failures explains why no answer came, by the step at which the attempt failed.
func failures() map[webhook.Failure]failure {
	return map[webhook.Failure]failure{
		webhook.FailureDNS: {"no address", "The host's name has no address.",
			"Look for a typing error in the URL, and whether the host's name is still in the DNS."},
		webhook.FailureConnect: {"no connection", "Nothing took the connection.",
			"See that the receiver runs and listens on the port of the URL, and that no firewall keeps us out."},
		webhook.FailureTLS: {"no TLS", "The connection could not be made secure.",
			"Renew the receiver's certificate: it must be valid for the host of the URL, and be served with its whole chain."},
		webhook.FailureTimeout: {"timeout", "No whole answer came in time.",
			"Answer first and do the work afterwards: put the webhook in a queue of your own and answer 200 at once."},
		webhook.FailureReset: {"connection broken", "The connection ended before the answer did.",
			"Look for a crash or a restart in the receiver's log, or a proxy before it that closes connections."},
		webhook.FailureProtocol: {"no HTTP", "What came back is no HTTP answer that can be read.",
			"See that the port of the URL is a web server's, and that https is https on both sides."},
		webhook.FailureRefusedAddress: {"address refused", "The host's address is private or reserved, or its port is not for the web, so it was not called.",
			"Use a URL that can be reached from the internet. On your own machine, start Jobhook with private addresses allowed."},
		webhook.FailureUnsendable: {"unsendable", "No request could be made of the event.",
			"Use an endpoint whose URL, headers and format can tell of such events."},
		webhook.FailureOurs: {"our side", "We had no connection left, so the receiver was not called. No attempt is spent.",
			"Nothing: it is tried again."},
	}
}

// explainAnswer explains what an attempt met with: a failure, or a status that
// may mean failure. It is the zero value where nothing needs to be said.
func explainAnswer(status int, f string) failure {
	if f != "" {
		return failures()[webhook.Failure(f)]
	}
	return explainStatus(status)
}

// explainStatus explains the statuses that receivers answer with. Whether one is
// a success is for the endpoint's format and policy to say.
func explainStatus(status int) failure {
	switch {
	case status >= 300 && status < 400:
		return failure{means: "The receiver redirects; redirects are not followed.", todo: "Give the endpoint the URL at which the webhooks are taken."}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return failure{means: "The receiver did not let it in.", todo: "See that it verifies with the endpoint's present secret, and that the endpoint sends the headers it asks for."}
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return failure{means: "The receiver has nothing there that takes a POST.", todo: "Look for a typing error in the path of the URL, and whether the receiver's route takes POST."}
	case status == http.StatusGone:
		return failure{means: "The receiver does not want webhooks any more.", todo: "If it does, let it answer 200 and resume the endpoint."}
	case status == http.StatusRequestEntityTooLarge:
		return failure{means: "The body is larger than the receiver takes.", todo: "Let it take bodies of this size."}
	case status == http.StatusTooManyRequests:
		return failure{means: "The receiver is called more often than it wants to be.", todo: "Nothing, as it is called less often for a while; a rate in the endpoint's policy makes that lasting."}
	case status >= 400 && status < 500:
		return failure{means: "The receiver refused it.", todo: "Read its answer below: it should say what it did not like."}
	case status >= 500:
		return failure{means: "The receiver broke over it, or something before it did.", todo: "Look in the receiver's log at the time of the attempt."}
	}
	return failure{}
}

// answered says in a word or two what an attempt was answered with; "-" where
// none was made.
func answered(status int, f string) string {
	switch known := failures()[webhook.Failure(f)]; {
	case f != "" && known.short != "":
		return known.short
	case f != "":
		return f
	case status != 0:
		return strconv.Itoa(status)
	}
	return "-"
}
