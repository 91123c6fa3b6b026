package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
)

const (
	domainMessage       = "multisig.msg.v1"
	domainHotKeys       = "multisig.attest.hot.v1"
	domainWalletRecord  = "multisig.attest.wallet.v1"
	domainAuditHead     = "multisig.attest.head.v1"
	domainPaymentIntent = "multisig.attest.intent.v1"
)

// covered is what a signature covers.
func covered(domain string, body []byte) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(len(domain)))
	out = append(out, domain...)
	out = binary.BigEndian.AppendUint64(out, uint64(len(body)))
	return append(out, body...)
}

func attest(domain string, statement any, key ed25519.PrivateKey) *Attestation {
	body := encode(statement)
	return &Attestation{body, Bytes(key.Public().(ed25519.PublicKey)), ed25519.Sign(key, covered(domain, body))}
}

// believed is the statement, if one of the accepted keys made it; else the reason.
func believed[S any](domain string, attestation *Attestation, accepted ...ed25519.PublicKey) (*S, string) {
	for _, key := range accepted {
		if !bytes.Equal(key, attestation.Signer) {
			continue
		}
		if !ed25519.Verify(key, covered(domain, attestation.Body), attestation.Signature) {
			return nil, "BadSignature"
		}
		statement, err := decode[S](attestation.Body)
		if err != nil {
			return nil, "Malformed"
		}
		return statement, ""
	}
	return nil, "UnknownSigner"
}
