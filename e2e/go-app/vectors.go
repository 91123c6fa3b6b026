package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nkeys"
)

type roleKeys struct {
	MessageSeed Bytes  `json:"messageSeed"`
	MessageKey  Bytes  `json:"messageKey"`
	XKeySeed    string `json:"xkeySeed"`
	XKeyPrivate Bytes  `json:"xkeyPrivate"`
	XKey        string `json:"xkey"`
	XKeyPublic  Bytes  `json:"xkeyPublic"`
}

type envelopeVector struct {
	Name   string `json:"name"`
	From   string `json:"from"`
	To     string `json:"to"`
	NowMs  uint64 `json:"nowMs"`
	Random struct {
		ID               Bytes `json:"id"`
		EphemeralPrivate Bytes `json:"ephemeralPrivate"`
		Nonce            Bytes `json:"nonce"`
	} `json:"random"`
	Body            Body  `json:"body"`
	BodyBytes       Bytes `json:"bodyBytes"`
	Covered         Bytes `json:"covered"`
	Digest          Bytes `json:"digest"`
	Signature       Bytes `json:"signature"`
	SignedBytes     Bytes `json:"signedBytes"`
	EphemeralPublic Bytes `json:"ephemeralPublic"`
	Sealed          Bytes `json:"sealed"`
}

type rejectionVector struct {
	Name         string  `json:"name"`
	Reason       string  `json:"reason"`
	Opener       string  `json:"opener"`
	Subject      string  `json:"subject"`
	NowMs        uint64  `json:"nowMs"`
	AsResponseTo string  `json:"asResponseTo"`
	After        []Bytes `json:"after"`
	Sealed       Bytes   `json:"sealed"`
	SealedZeros  int     `json:"sealedZeros"`
}

type payloadVector struct {
	Name    string          `json:"name"`
	Message string          `json:"message"`
	Value   json.RawMessage `json:"value"`
	Bytes   Bytes           `json:"bytes"`
}

type attestationVector struct {
	Name        string          `json:"name"`
	Domain      string          `json:"domain"`
	Kind        string          `json:"kind"`
	Accepted    []Bytes         `json:"accepted"`
	Statement   json.RawMessage `json:"statement"`
	Covered     Bytes           `json:"covered"`
	Attestation Attestation     `json:"attestation"`
	Bytes       Bytes           `json:"bytes"`
	Result      string          `json:"result"`
}

type vectors struct {
	keys struct {
		CustodyID Bytes               `json:"custodyId"`
		Roles     map[string]roleKeys `json:"roles"`
	}
	envelopes  []envelopeVector
	rejections []rejectionVector
	payloads   struct {
		Good     []payloadVector `json:"good"`
		NotExact []payloadVector `json:"notExact"`
	}
	attestations []attestationVector
}

// checkVectors makes everything in the files that is good, reads it, and refuses all else.
func checkVectors(folder string) error {
	var all vectors
	files := map[string]any{
		"keys.json": &all.keys, "envelopes.json": &all.envelopes, "rejections.json": &all.rejections,
		"payloads.json": &all.payloads, "attestations.json": &all.attestations,
	}
	for name, into := range files {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		if err := strict(content, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, check := range []func() error{
		all.checkKeys, all.checkEnvelopes, all.checkSharedEphemeral, all.checkRejections, all.checkPayloads, all.checkAttestations,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	fmt.Printf("vectors: %d roles' keys, %d envelopes, %d rejections, %d payloads, %d inexact ones, %d attestations\n",
		len(all.keys.Roles), len(all.envelopes), len(all.rejections), len(all.payloads.Good), len(all.payloads.NotExact),
		len(all.attestations))
	return nil
}

func strict(content []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func same(name, what string, made, listed []byte) error {
	if bytes.Equal(made, listed) {
		return nil
	}
	return fmt.Errorf("%s: %s is %x, listed is %x", name, what, made, listed)
}

func (v *vectors) party(role string) *Party {
	peers := map[string][]Peer{}
	for other, keys := range v.keys.Roles {
		if other != role {
			peers[other] = []Peer{{ed25519.PublicKey(keys.MessageKey), key(keys.XKeyPublic)}}
		}
	}
	own := v.keys.Roles[role]
	return newParty(v.keys.CustodyID, role, own.MessageSeed, key(own.XKeyPrivate), peers)
}

func (v *vectors) checkKeys() error {
	for role, keys := range v.keys.Roles {
		private, public, err := decodeXKeys(keys.XKeySeed, keys.XKey)
		if err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		party := v.party(role)
		for what, pair := range map[string][2][]byte{
			"message key":  {party.message.Public().(ed25519.PublicKey), keys.MessageKey},
			"private XKey": {private[:], keys.XKeyPrivate},
			"XKey":         {public[:], keys.XKeyPublic},
			"derived XKey": {party.public[:], keys.XKeyPublic},
		} {
			if err := same(role, what, pair[0], pair[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodeXKeys(seed, public string) (private, decoded key, err error) {
	prefix, raw, err := nkeys.DecodeSeed([]byte(seed))
	if err != nil || prefix != nkeys.PrefixByteCurve {
		return private, decoded, fmt.Errorf("no XKey seed: %v", err)
	}
	decoded, err = decodeXKey(public)
	return key(raw), decoded, err
}

func decodeXKey(public string) (key, error) {
	raw, err := nkeys.Decode(nkeys.PrefixByteCurve, []byte(public))
	if err != nil {
		return key{}, err
	}
	return key(raw), nil
}

func (v *vectors) named(name string) *envelopeVector {
	index := slices.IndexFunc(v.envelopes, func(one envelopeVector) bool { return one.Name == name })
	return &v.envelopes[index]
}

func (e *envelopeVector) random() io.Reader {
	return bytes.NewReader(slices.Concat(e.Random.ID, e.Random.EphemeralPrivate, e.Random.Nonce))
}

func (v *vectors) requestOf(response *envelopeVector) *envelopeVector {
	index := slices.IndexFunc(v.envelopes, func(one envelopeVector) bool {
		return bytes.Equal(one.Digest, response.Body.InReplyTo)
	})
	return &v.envelopes[index]
}

func (v *vectors) checkEnvelopes() error {
	for _, one := range v.envelopes {
		sealed, opened, err := v.make(&one)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		again := encode(opened.body)
		for what, pair := range map[string][2][]byte{
			"sealed": {sealed, one.Sealed}, "body": {again, one.BodyBytes}, "digest": {opened.digest, one.Digest},
			"listed body": {encode(&one.Body), one.BodyBytes}, "covered": {covered(domainMessage, again), one.Covered},
			"signed layer": {encode(&Signed{one.BodyBytes, one.Signature}), one.SignedBytes},
		} {
			if err := same(one.Name, what, pair[0], pair[1]); err != nil {
				return err
			}
		}
		if err := v.openWithNKeys(&one); err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
	}
	return nil
}

// make makes the envelope from its body and randomness, and opens the listed one.
func (v *vectors) make(one *envelopeVector) ([]byte, *Opened, error) {
	from, to := v.party(one.From), v.party(one.To)
	if one.Body.Kind == kindRequest {
		sealed, _, err := from.request(one.To, one.Body.Subject, one.Body.Payload, one.NowMs, one.random())
		if err != nil {
			return nil, nil, err
		}
		opened, reason := to.openRequest(one.Sealed, one.Body.Subject, one.NowMs)
		return sealed, opened, refusedFor(reason)
	}
	listed := v.requestOf(one)
	request, reason := from.openRequest(listed.Sealed, listed.Body.Subject, one.NowMs)
	if reason != "" {
		return nil, nil, refusedFor(reason)
	}
	sealed, err := from.respond(request, one.Body.Payload, one.NowMs, one.random())
	if err != nil {
		return nil, nil, err
	}
	_, ticket, err := to.request(listed.To, listed.Body.Subject, listed.Body.Payload, listed.NowMs, listed.random())
	if err != nil {
		return nil, nil, err
	}
	opened, reason := to.openResponse(ticket, one.Sealed, one.NowMs)
	return sealed, opened, refusedFor(reason)
}

func refusedFor(reason string) error {
	if reason == "" {
		return nil
	}
	return fmt.Errorf("refused: %s", reason)
}

// openWithNKeys: the box is what the NATS library calls a sealed XKey message.
func (v *vectors) openWithNKeys(one *envelopeVector) error {
	pair, err := nkeys.FromCurveSeed([]byte(v.keys.Roles[one.To].XKeySeed))
	if err != nil {
		return err
	}
	sealed, err := decode[Sealed](one.Sealed)
	if err != nil {
		return err
	}
	sender, err := nkeys.Encode(nkeys.PrefixByteCurve, sealed.EphPub)
	if err != nil {
		return err
	}
	inner, err := pair.Open(sealed.Box, string(sender))
	if err != nil {
		return err
	}
	return same(one.Name, "what the NATS library opens", inner, one.SignedBytes)
}

// checkSharedEphemeral: the second request of one party within a minute asks for no second ephemeral key.
func (v *vectors) checkSharedEphemeral() error {
	first, second := v.named("request"), v.named("request-same-ephemeral")
	random := io.MultiReader(first.random(), bytes.NewReader(slices.Concat(second.Random.ID, second.Random.Nonce)))
	app, keeper := v.party("app"), v.party("keeper")
	for _, one := range []*envelopeVector{first, second} {
		sealed, _, err := app.request(one.To, one.Body.Subject, one.Body.Payload, one.NowMs, random)
		if err != nil {
			return err
		}
		if err := same(one.Name, "sealed with the shared ephemeral key", sealed, one.Sealed); err != nil {
			return err
		}
		if _, reason := keeper.openRequest(sealed, one.Body.Subject, one.NowMs); reason != "" {
			return fmt.Errorf("%s: %w", one.Name, refusedFor(reason))
		}
	}
	return nil
}

func (v *vectors) checkRejections() error {
	for _, one := range v.rejections {
		opener := v.party(one.Opener)
		sealed := append(one.Sealed, make([]byte, one.SealedZeros)...)
		for _, earlier := range one.After {
			if _, reason := opener.openRequest(earlier, one.Subject, one.NowMs); reason != "" {
				return fmt.Errorf("%s: the earlier one is %w", one.Name, refusedFor(reason))
			}
		}
		var reason string
		if one.AsResponseTo == "" {
			_, reason = opener.openRequest(sealed, one.Subject, one.NowMs)
		} else {
			asked := v.named(one.AsResponseTo)
			_, reason = opener.openResponse(&Ticket{asked.To, asked.Body.Subject, asked.Digest}, sealed, one.NowMs)
		}
		if reason != one.Reason {
			return fmt.Errorf("%s: refused for %q, listed is %q", one.Name, reason, one.Reason)
		}
	}
	return nil
}

func (v *vectors) checkPayloads() error {
	for _, one := range v.payloads.Good {
		var err error
		if one.Message == "Request" {
			err = checkPayload[Request](&one)
		} else {
			err = checkPayload[Response](&one)
		}
		if err != nil {
			return err
		}
	}
	for _, one := range v.payloads.NotExact {
		if _, err := decode[Request](one.Bytes); err == nil {
			return fmt.Errorf("%s was read", one.Name)
		}
	}
	return nil
}

func checkPayload[M any](one *payloadVector) error {
	return checkMessage[M](one.Name, one.Value, one.Bytes)
}

// checkMessage: the JSON gives these bytes, and the bytes this JSON.
func checkMessage[M any](name string, value json.RawMessage, encoded []byte) error {
	message := new(M)
	if err := strict(value, message); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := same(name, "encoded", encode(message), encoded); err != nil {
		return err
	}
	read, err := decode[M](encoded)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	again, err := json.Marshal(read)
	if err != nil {
		return err
	}
	listed, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return same(name, "read", again, listed)
}

func (v *vectors) checkAttestations() error {
	for _, one := range v.attestations {
		var err error
		switch one.Kind {
		case "HotKeys":
			err = checkAttestation[HotKeys](v, &one)
		case "WalletRecord":
			err = checkAttestation[WalletRecord](v, &one)
		case "AuditHead":
			err = checkAttestation[AuditHead](v, &one)
		case "PaymentIntent":
			err = checkAttestation[PaymentIntent](v, &one)
		default:
			err = fmt.Errorf("%s: no kind is called %s", one.Name, one.Kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkAttestation[S any](v *vectors, one *attestationVector) error {
	if err := same(one.Name, "covered", covered(one.Domain, one.Attestation.Body), one.Covered); err != nil {
		return err
	}
	if err := same(one.Name, "encoded", encode(&one.Attestation), one.Bytes); err != nil {
		return err
	}
	_, reason := believed[S](one.Domain, &one.Attestation, ed25519.PublicKey(one.Accepted[0]))
	if reason == "" {
		reason = "Ok"
	}
	if reason != one.Result {
		return fmt.Errorf("%s: found %s, listed is %s", one.Name, reason, one.Result)
	}
	if one.Result != "Ok" {
		return nil
	}
	statement := new(S)
	if err := strict(one.Statement, statement); err != nil {
		return fmt.Errorf("%s: %w", one.Name, err)
	}
	made := attest(one.Domain, statement, v.signer(one.Attestation.Signer))
	if err := same(one.Name, "attested", encode(made), one.Bytes); err != nil {
		return err
	}
	return checkMessage[S](one.Name, one.Statement, one.Attestation.Body)
}

// signer is the private half of a listed key.
func (v *vectors) signer(public Bytes) ed25519.PrivateKey {
	for _, keys := range v.keys.Roles {
		if bytes.Equal(keys.MessageKey, public) {
			return ed25519.NewKeyFromSeed(keys.MessageSeed)
		}
	}
	panic("nobody's key: " + hex.EncodeToString(public))
}
