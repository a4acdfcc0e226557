package main

import "bytes"

// idLength is the length of a job id, which looks like a UUID.
const idLength = 36

// jobMarker stands before the job's id in a standard body.
var jobMarker = []byte(`"job_id":"`)

// scramble is an odd multiplier with well spread bits; unscramble undoes it
// modulo 2^64.
const (
	scramble   = 0x9e3779b97f4a7c15
	unscramble = 0xf1de83e19937733d
)

// mix spreads a number over all 64 bits; unmix takes that back. So ids are
// random to an index on them, and still say which change they belong to.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= scramble
	x ^= x >> 32
	x *= scramble
	return x ^ x>>32
}

func unmix(x uint64) uint64 {
	x ^= x >> 32
	x *= unscramble
	x ^= x >> 32
	x *= unscramble
	return x ^ x>>32
}

const hexDigits = "0123456789abcdef"

// putID writes the id of change number i into b, which has idLength bytes.
func putID(b []byte, i int) {
	high := mix(uint64(i))
	low := mix(high + 1)
	at := 0
	for digit := range 32 {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			b[at] = '-'
			at++
		}
		word := high
		if digit >= 16 {
			word = low
		}
		b[at] = hexDigits[word>>(60-4*(digit%16))&15]
		at++
	}
}

// parseID returns the number of the change that an id belongs to.
func parseID(id []byte) (i int, ok bool) {
	if len(id) != idLength {
		return 0, false
	}
	var high uint64
	for at := 0; at < 18; at++ {
		c := id[at]
		switch {
		case c == '-':
			continue
		case c >= '0' && c <= '9':
			high = high<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			high = high<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	var same [idLength]byte
	i = int(unmix(high))
	putID(same[:], i)
	return i, bytes.Equal(same[:], id)
}

// changeOf returns the number of the change that a webhook's body tells of.
func changeOf(body []byte) (i int, ok bool) {
	at := bytes.Index(body, jobMarker)
	if at < 0 || len(body) < at+len(jobMarker)+idLength {
		return 0, false
	}
	at += len(jobMarker)
	return parseID(body[at : at+idLength])
}
