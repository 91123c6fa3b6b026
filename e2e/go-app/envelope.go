package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

const (
	version        = 1
	maxBytes       = 1 << 20
	maxLifetimeMs  = 60_000
	lifetimeMs     = 30_000
	maxSkewMs      = 5_000
	maxEphemeralMs = 60_000
	maxReceiving   = 64
)

type key = [32]byte

// Peer is one accepted pair of keys of a role.
type Peer struct {
	message ed25519.PublicKey
	xkey    key
}

// Party is a role with its keys, and the peers it believes.
type Party struct {
	custodyID Bytes
	role      string
	message   ed25519.PrivateKey
	private   key
	public    key
	peers     map[string][]Peer
	sending   map[key]*ephemeral
	receiving map[key]*received
	seen      map[string]uint64
}

// ephemeral is the shared key with a recipient and the public half that it is found with.
type ephemeral struct {
	public, shared key
	sinceMs        uint64
}

// received is the shared key with a sender.
type received struct {
	shared  key
	sinceMs uint64
}

func newParty(custodyID Bytes, role string, messageSeed []byte, private key, peers map[string][]Peer) *Party {
	public, err := curve25519.X25519(private[:], curve25519.Basepoint)
	if err != nil {
		panic(err)
	}
	return &Party{
		custodyID: custodyID, role: role, message: ed25519.NewKeyFromSeed(messageSeed), private: private, public: key(public),
		peers: peers, sending: map[key]*ephemeral{}, receiving: map[key]*received{}, seen: map[string]uint64{},
	}
}

// Ticket is what an answer has to fit.
type Ticket struct {
	to, subject string
	digest      Bytes
}

// request makes an envelope for the peer's first key.
func (p *Party) request(to, subject string, payload []byte, nowMs uint64, random io.Reader) ([]byte, *Ticket, error) {
	if len(p.peers[to]) == 0 {
		return nil, nil, errors.New(to + " is not known")
	}
	body := &Body{Subject: subject, Recipient: to, Kind: kindRequest, Payload: payload}
	sealed, digest, err := p.seal(body, p.peers[to][0], nowMs, random)
	return sealed, &Ticket{to, subject, digest}, err
}

// respond makes the answer to a request that was opened.
func (p *Party) respond(request *Opened, payload []byte, nowMs uint64, random io.Reader) ([]byte, error) {
	body := &Body{
		InReplyTo: request.digest, Subject: request.body.Subject, Recipient: request.body.Sender, Kind: kindResponse,
		Payload: payload,
	}
	sealed, _, err := p.seal(body, request.peer, nowMs, random)
	return sealed, err
}

func (p *Party) seal(body *Body, to Peer, nowMs uint64, random io.Reader) ([]byte, Bytes, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(random, id); err != nil {
		return nil, nil, err
	}
	body.V, body.CustodyID, body.ID, body.Sender = version, p.custodyID, id, p.role
	body.IatMs, body.ExpMs = nowMs, nowMs+lifetimeMs
	encoded := encode(body)
	signs := covered(domainMessage, encoded)
	signed := encode(&Signed{encoded, ed25519.Sign(p.message, signs)})
	ephemeral, err := p.ephemeral(to.xkey, nowMs, random)
	if err != nil {
		return nil, nil, err
	}
	var nonce [24]byte
	if _, err := io.ReadFull(random, nonce[:]); err != nil {
		return nil, nil, err
	}
	boxed := box.SealAfterPrecomputation(append([]byte("xkv1"), nonce[:]...), signed, &nonce, &ephemeral.shared)
	sealed := encode(&Sealed{version, to.xkey[:], ephemeral.public[:], boxed})
	if len(sealed) > maxBytes {
		return nil, nil, errors.New("too large to be sent")
	}
	digest := sha256.Sum256(signs)
	return sealed, digest[:], nil
}

// ephemeral is the key that serves this recipient at present.
func (p *Party) ephemeral(to key, nowMs uint64, random io.Reader) (*ephemeral, error) {
	if found := p.sending[to]; found != nil && nowMs >= found.sinceMs && nowMs-found.sinceMs < maxEphemeralMs {
		return found, nil
	}
	var private key
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return nil, err
	}
	public, err := curve25519.X25519(private[:], curve25519.Basepoint)
	if err != nil {
		return nil, err
	}
	made := &ephemeral{public: key(public), sinceMs: nowMs}
	box.Precompute(&made.shared, &to, &private)
	p.sending[to] = made
	return made, nil
}

// Opened is signed by an approved key of its sender.
type Opened struct {
	peer   Peer
	digest Bytes
	body   *Body
}

// openRequest gives the request, or the reason why it is dropped.
func (p *Party) openRequest(sealed []byte, subject string, nowMs uint64) (*Opened, string) {
	opened, reason := p.open(sealed, nowMs)
	if reason == "" {
		reason = p.checkAudience(opened.body, subject, kindRequest)
	}
	if reason == "" && len(opened.body.InReplyTo) != 0 {
		reason = "WrongReply"
	}
	if reason == "" {
		reason = checkLife(opened.body, nowMs)
	}
	if reason == "" {
		reason = p.checkNew(opened.body, nowMs)
	}
	return opened, reason
}

// openResponse gives the answer to what the ticket stands for, or the reason why it is none.
func (p *Party) openResponse(ticket *Ticket, sealed []byte, nowMs uint64) (*Opened, string) {
	opened, reason := p.open(sealed, nowMs)
	if reason == "" {
		reason = p.checkAudience(opened.body, ticket.subject, kindResponse)
	}
	if reason == "" && (opened.body.Sender != ticket.to || !bytes.Equal(opened.body.InReplyTo, ticket.digest)) {
		reason = "WrongReply"
	}
	if reason == "" {
		reason = checkLife(opened.body, nowMs)
	}
	return opened, reason
}

func (p *Party) open(encoded []byte, nowMs uint64) (*Opened, string) {
	if len(encoded) > maxBytes {
		return nil, "TooLarge"
	}
	sealed, err := decode[Sealed](encoded)
	if err != nil {
		return nil, "Malformed"
	}
	if sealed.V != version {
		return nil, "UnknownVersion"
	}
	inner, shared, reason := p.unseal(sealed, nowMs)
	if reason != "" {
		return nil, reason
	}
	signed, err := decode[Signed](inner)
	if err != nil {
		return nil, "Malformed"
	}
	body, err := decode[Body](signed.Body)
	if err != nil {
		return nil, "Malformed"
	}
	accepted := p.peers[body.Sender]
	if len(accepted) == 0 {
		return nil, "UnknownSender"
	}
	if len(signed.Sig) != ed25519.SignatureSize {
		return nil, "Malformed"
	}
	signs := covered(domainMessage, signed.Body)
	by := slices.IndexFunc(accepted, func(peer Peer) bool { return ed25519.Verify(peer.message, signs, signed.Sig) })
	if by < 0 {
		return nil, "BadSignature"
	}
	p.remember(key(sealed.EphPub), shared, nowMs)
	digest := sha256.Sum256(signs)
	return &Opened{accepted[by], digest[:], body}, ""
}

func (p *Party) unseal(sealed *Sealed, nowMs uint64) ([]byte, key, string) {
	var none key
	if !bytes.Equal(sealed.ToXKey, p.public[:]) {
		return nil, none, "NotForThisKey"
	}
	if len(sealed.EphPub) != 32 || !canonical(key(sealed.EphPub)) {
		return nil, none, "Malformed"
	}
	rest, ok := bytes.CutPrefix(sealed.Box, []byte("xkv1"))
	shared, usable := p.shared(key(sealed.EphPub), nowMs)
	if !ok || len(rest) < 24 || !usable {
		return nil, none, "Malformed"
	}
	nonce := [24]byte(rest)
	inner, ok := box.OpenAfterPrecomputation(nil, rest[24:], &nonce, &shared)
	if !ok {
		return nil, none, "NotOpened"
	}
	return inner, shared, ""
}

// canonical: below 2^255 - 19, little-endian.
func canonical(public key) bool {
	prime := key(bytes.Repeat([]byte{0xff}, 32))
	prime[0], prime[31] = 0xed, 0x7f
	slices.Reverse(public[:])
	slices.Reverse(prime[:])
	return bytes.Compare(public[:], prime[:]) < 0
}

// shared is the key with this sender; false for a point of small order, whose secret is zero.
func (p *Party) shared(public key, nowMs uint64) (key, bool) {
	if found := p.receiving[public]; found != nil && nowMs >= found.sinceMs && nowMs-found.sinceMs < 2*maxEphemeralMs {
		return found.shared, true
	}
	own, err := ecdh.X25519().NewPrivateKey(p.private[:])
	if err != nil {
		return key{}, false
	}
	theirs, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return key{}, false
	}
	if _, err := own.ECDH(theirs); err != nil {
		return key{}, false
	}
	var shared key
	box.Precompute(&shared, &public, &p.private)
	return shared, true
}

func (p *Party) remember(public, shared key, nowMs uint64) {
	if p.receiving[public] != nil && nowMs-p.receiving[public].sinceMs < 2*maxEphemeralMs {
		return
	}
	if len(p.receiving) >= maxReceiving {
		clear(p.receiving)
	}
	p.receiving[public] = &received{shared, nowMs}
}

func (p *Party) checkAudience(body *Body, subject string, kind int32) string {
	switch {
	case body.V != version:
		return "UnknownVersion"
	case body.Recipient != p.role:
		return "WrongRecipient"
	case !bytes.Equal(body.CustodyID, p.custodyID):
		return "WrongCustody"
	case body.Subject != subject:
		return "WrongSubject"
	case body.Kind != kind:
		return "WrongKind"
	}
	return ""
}

func checkLife(body *Body, nowMs uint64) string {
	switch {
	case body.IatMs > nowMs+maxSkewMs:
		return "FromTheFuture"
	case nowMs > body.ExpMs:
		return "Expired"
	case body.ExpMs <= body.IatMs || body.ExpMs-body.IatMs > maxLifetimeMs:
		return "BadLifetime"
	}
	return ""
}

func (p *Party) checkNew(body *Body, nowMs uint64) string {
	if len(body.ID) != 16 {
		return "Malformed"
	}
	for id, until := range p.seen {
		if until < nowMs {
			delete(p.seen, id)
		}
	}
	id := body.Sender + string(body.ID)
	if _, found := p.seen[id]; found {
		return "Replayed"
	}
	p.seen[id] = body.ExpMs + maxSkewMs
	return ""
}
