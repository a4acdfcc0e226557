package sqlite

import (
	"bytes"
	"errors"
)

// prefixSealer hides a secret from grep and binds it to its account; it keeps
// nothing from an attacker.
type prefixSealer struct{}

func (prefixSealer) Seal(plain []byte, account string) ([]byte, error) {
	return append([]byte(account+"|"), flip(plain)...), nil
}

func (prefixSealer) Open(sealed []byte, account string) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(account+"|"))
	if !ok {
		return nil, errors.New("sealed for another account")
	}
	return flip(rest), nil
}

func flip(b []byte) []byte {
	flipped := make([]byte, len(b))
	for i := range b {
		flipped[i] = b[i] ^ 0xff
	}
	return flipped
}
