package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const (
	patience   = 60 * time.Second
	tryTimeout = 3 * time.Second
	pause      = 200 * time.Millisecond
)

// Profile is App's: how to reach the broker, its keys, and the signer's.
type Profile struct {
	URL         string `json:"url"`
	CA          string `json:"ca"`
	JWT         string `json:"jwt"`
	NKeySeed    string `json:"nkeySeed"`
	CustodyID   Bytes  `json:"custodyId"`
	MessageSeed Bytes  `json:"messageSeed"`
	XKeySeed    string `json:"xkeySeed"`
	Signer      struct {
		Role       string `json:"role"`
		MessageKey Bytes  `json:"messageKey"`
		XKey       string `json:"xkey"`
	} `json:"signer"`
}

// App asks one signer.
type App struct {
	connection *nats.Conn
	party      *Party
	signer     string
	believes   ed25519.PublicKey
}

// Played is what came of it, for whoever checks it.
type Played struct {
	HotKeys   *HotKeys      `json:"hotKeys"`
	Record    *WalletRecord `json:"record"`
	Unsigned  Bytes         `json:"unsigned"`
	Digest    Bytes         `json:"digest"`
	Signature Bytes         `json:"signature"`
	Batch     *Response     `json:"batch"`
}

// play makes a wallet, pays `amount` of the chain's own coin from it, and asks for several things at once.
func play(profile, chain, to, amount string) (*Played, error) {
	app, err := connect(profile)
	if err != nil {
		return nil, err
	}
	defer app.connection.Close()
	hot, err := app.createWallet("alice")
	if err != nil {
		return nil, err
	}
	played := &Played{}
	if played.HotKeys, err = believe[HotKeys](app, domainHotKeys, hot); err != nil {
		return nil, err
	}
	if played.Record, err = app.register(hot, chain); err != nil {
		return nil, err
	}
	if played.Unsigned, err = safeTransfer(to, amount, 0); err != nil {
		return nil, err
	}
	payment := &Payment{Wallet: "alice", Chain: chain, Unsigned: played.Unsigned}
	signed, err := app.pay(payment)
	if err != nil {
		return nil, err
	}
	played.Digest, played.Signature = signed.Digest, signed.Signature
	played.Batch, err = app.batch(
		&Request{CreateWallet: &CreateWallet{Wallet: "bob"}},
		&Request{CreateWallet: &CreateWallet{Wallet: "carol"}},
		&Request{Check: &Payment{Wallet: "alice", Chain: "eip155:999", Unsigned: played.Unsigned}},
	)
	return played, err
}

func connect(path string) (*App, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var profile Profile
	if err := strict(content, &profile); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	user, err := nkeys.FromSeed([]byte(profile.NKeySeed))
	if err != nil {
		return nil, err
	}
	_, private, err := nkeys.DecodeSeed([]byte(profile.XKeySeed))
	if err != nil {
		return nil, err
	}
	xkey, err := decodeXKey(profile.Signer.XKey)
	if err != nil {
		return nil, err
	}
	connection, err := nats.Connect(profile.URL,
		nats.Name("app"),
		nats.RootCAs(profile.CA),
		nats.TLSHandshakeFirst(),
		nats.UserJWT(func() (string, error) { return profile.JWT, nil }, user.Sign),
		nats.CustomInboxPrefix("_INBOX.app"),
		nats.IgnoreDiscoveredServers(),
	)
	if err != nil {
		return nil, err
	}
	believes := ed25519.PublicKey(profile.Signer.MessageKey)
	peers := map[string][]Peer{profile.Signer.Role: {{believes, xkey}}}
	party := newParty(profile.CustodyID, "app", profile.MessageSeed, key(private), peers)
	return &App{connection, party, profile.Signer.Role, believes}, nil
}

func (a *App) createWallet(wallet string) (*Attestation, error) {
	response, err := a.ask(&Request{CreateWallet: &CreateWallet{Wallet: wallet}})
	if err != nil {
		return nil, err
	}
	if response.Created == nil {
		return nil, unexpected(response)
	}
	return response.Created, nil
}

func (a *App) register(hot *Attestation, chain string) (*WalletRecord, error) {
	response, err := a.ask(&Request{RegisterWallet: &RegisterWallet{Hot: hot, Chains: []string{chain}}})
	if err != nil {
		return nil, err
	}
	if response.Registered == nil {
		return nil, unexpected(response)
	}
	return believe[WalletRecord](a, domainWalletRecord, response.Registered)
}

// pay checks, signs, and asks for the same signature once more, as after a lost answer.
func (a *App) pay(payment *Payment) (*Signature, error) {
	checked, err := a.ask(&Request{Check: payment})
	if err != nil {
		return nil, err
	}
	if checked.Allowed == nil {
		return nil, unexpected(checked)
	}
	request := &Request{Sign: payment}
	signed, err := a.ask(request)
	if err != nil {
		return nil, err
	}
	if signed.Signed == nil || !bytes.Equal(signed.Signed.Digest, checked.Allowed.Digest) {
		return nil, unexpected(signed)
	}
	again, err := a.ask(request)
	if err != nil {
		return nil, err
	}
	if again.Signed == nil || !bytes.Equal(again.Signed.Signature, signed.Signed.Signature) {
		return nil, unexpected(again)
	}
	return signed.Signed, nil
}

func (a *App) batch(requests ...*Request) (*Response, error) {
	for _, request := range requests {
		request.OperationID = operationID()
	}
	response, err := a.ask(&Request{Batch: &Batch{requests}})
	if err != nil {
		return nil, err
	}
	if response.Batch == nil {
		return response, nil
	}
	if len(response.Batch.Responses) != len(requests) {
		return nil, unexpected(response)
	}
	for index, answer := range response.Batch.Responses {
		if wanted := requests[index].CreateWallet; wanted != nil {
			if answer.Created == nil {
				return nil, unexpected(answer)
			}
			hot, err := believe[HotKeys](a, domainHotKeys, answer.Created)
			if err != nil || hot.Wallet != wanted.Wallet {
				return nil, unexpected(answer)
			}
		}
	}
	return response, nil
}

func believe[S any](a *App, domain string, attestation *Attestation) (*S, error) {
	statement, reason := believed[S](domain, attestation, a.believes)
	if reason != "" {
		return nil, fmt.Errorf("an attestation of %s is not believed: %s", a.signer, reason)
	}
	return statement, nil
}

func unexpected(response *Response) error {
	text, err := json.Marshal(response)
	return errors.Join(fmt.Errorf("unexpected answer: %s", text), err)
}

func operationID() Bytes {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	return id
}

// ask sends a request until it is answered: each try is a new envelope around the same bytes.
func (a *App) ask(request *Request) (*Response, error) {
	if request.OperationID == nil {
		request.OperationID = operationID()
	}
	payload, last := encode(request), errors.New("no try")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pause) {
		var response *Response
		if response, last = a.try(payload); last != nil {
			continue
		}
		if response.Unavailable == nil {
			return response, nil
		}
		last = unexpected(response)
	}
	return nil, last
}

func (a *App) try(payload []byte) (*Response, error) {
	subject := fmt.Sprintf("ms.%s.%s.op", hex.EncodeToString(a.party.custodyID), a.signer)
	sealed, ticket, err := a.party.request(a.signer, subject, payload, nowMs(), rand.Reader)
	if err != nil {
		return nil, err
	}
	inbox := a.connection.NewInbox()
	replies, err := a.connection.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := a.connection.PublishRequest(subject, inbox, sealed); err != nil {
		return nil, err
	}
	last := errors.New("no answer")
	for deadline := time.Now().Add(tryTimeout); ; {
		message, err := replies.NextMsg(time.Until(deadline))
		if err != nil {
			return nil, errors.Join(last, err)
		}
		// Something that is not an answer says nothing: the right one may still come.
		opened, reason := a.party.openResponse(ticket, message.Data, nowMs())
		if reason != "" {
			last = refusedFor(reason)
			continue
		}
		return decode[Response](opened.body.Payload)
	}
}

func nowMs() uint64 { return uint64(time.Now().UnixMilli()) }

// safeTransfer is a Safe transaction that sends the chain's own coin: its ten fields in the ABI's encoding.
func safeTransfer(to, amount string, nonce uint64) (Bytes, error) {
	address, err := hex.DecodeString(to[2:])
	if err != nil {
		return nil, err
	}
	value, ok := new(big.Int).SetString(amount, 10)
	if !ok {
		return nil, fmt.Errorf("%s is not an amount", amount)
	}
	var out Bytes
	word := func(value []byte) { out = append(append(out, make([]byte, 32-len(value))...), value...) }
	number := func(value uint64) { word(binary.BigEndian.AppendUint64(nil, value)) }
	word(address)
	word(value.Bytes())
	number(10 * 32) // data: after the ten fields
	for range 6 {
		number(0) // operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver
	}
	number(nonce)
	number(0) // data: empty
	return out, nil
}
