package api

import (
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The ways to sign.
const (
	signHMAC    = "hmac"
	signEd25519 = "ed25519"
	signNone    = "none"
)

// withSecret shows the newest secret, but never a private key: its receiver
// needs the public one.
func (v endpointView) withSecret(secrets []webhook.Secret) endpointView {
	if v.Signing == signHMAC {
		v.Secret = string(secrets[0])
	}
	return v
}

func signingOf(secrets []webhook.Secret) string {
	switch {
	case len(secrets) == 0:
		return signNone
	case secrets[0].Public() != "":
		return signEd25519
	}
	return signHMAC
}

// secretsFor makes what to sign with, or takes the caller's own.
func secretsFor(signing, own string) ([]webhook.Secret, error) {
	if own != "" {
		return ownSecret(signing, own)
	}
	switch signing {
	case signNone:
		return nil, nil
	case signEd25519:
		secret, _ := webhook.NewKeyPair()
		return []webhook.Secret{secret}, nil
	}
	return []webhook.Secret{webhook.NewSecret()}, nil
}

func ownSecret(signing, own string) ([]webhook.Secret, error) {
	if signing != "" && signing != signHMAC {
		return nil, invalid("secret", "it goes with hmac, not with "+signing, "leave out either of the two")
	}
	if !strings.HasPrefix(own, webhook.PrefixHMAC) || webhook.Secret(own).Check() != nil {
		return nil, invalid("secret", "it is no secret to sign with", "write whsec_ and 24 to 64 bytes in base64, or leave it out to get one")
	}
	return []webhook.Secret{webhook.Secret(own)}, nil
}
