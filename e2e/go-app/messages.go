package main

// The three layers of an envelope.

type Sealed struct {
	V      uint32 `pb:"1"`
	ToXKey Bytes  `pb:"2"`
	EphPub Bytes  `pb:"3"`
	Box    Bytes  `pb:"4"`
}

type Signed struct {
	Body Bytes `pb:"1"`
	Sig  Bytes `pb:"2"`
}

type Body struct {
	V         uint32 `pb:"1" json:"v"`
	CustodyID Bytes  `pb:"2" json:"custodyId"`
	ID        Bytes  `pb:"3" json:"id"`
	InReplyTo Bytes  `pb:"4" json:"inReplyTo"`
	Subject   string `pb:"5" json:"subject"`
	Sender    string `pb:"6" json:"sender"`
	Recipient string `pb:"7" json:"recipient"`
	IatMs     uint64 `pb:"8" json:"iatMs"`
	ExpMs     uint64 `pb:"9" json:"expMs"`
	Kind      int32  `pb:"10" json:"kind"`
	Payload   Bytes  `pb:"11" json:"payload"`
}

const (
	kindRequest  = 1
	kindResponse = 2
)

// The payload of a request.

type Request struct {
	OperationID    Bytes           `pb:"1" json:"operationId,omitempty"`
	CreateWallet   *CreateWallet   `pb:"2,oneof" json:"createWallet,omitempty"`
	RegisterWallet *RegisterWallet `pb:"3,oneof" json:"registerWallet,omitempty"`
	Check          *Payment        `pb:"4,oneof" json:"check,omitempty"`
	Sign           *Payment        `pb:"5,oneof" json:"sign,omitempty"`
	Announce       *Payment        `pb:"6,oneof" json:"announce,omitempty"`
	Batch          *Batch          `pb:"7,oneof" json:"batch,omitempty"`
	Freeze         *Freeze         `pb:"8,oneof" json:"freeze,omitempty"`
	EchoHead       *EchoHead       `pb:"9,oneof" json:"echoHead,omitempty"`
	Settle         *Settle         `pb:"10,oneof" json:"settle,omitempty"`
	Lease          *Lease          `pb:"11,oneof" json:"lease,omitempty"`
	Records        *ReadRecords    `pb:"12,oneof" json:"records,omitempty"`
}

type CreateWallet struct {
	Wallet    string `pb:"1" json:"wallet,omitempty"`
	ClientKey Bytes  `pb:"2" json:"clientKey,omitempty"`
}

type RegisterWallet struct {
	Hot    *Attestation `pb:"1" json:"hot,omitempty"`
	Chains []string     `pb:"2" json:"chains,omitempty"`
	Salt   Bytes        `pb:"3" json:"salt,omitempty"`
}

type Payment struct {
	Wallet       string       `pb:"1" json:"wallet,omitempty"`
	Chain        string       `pb:"2" json:"chain,omitempty"`
	Unsigned     Bytes        `pb:"3" json:"unsigned,omitempty"`
	HotSignature Bytes        `pb:"4" json:"hotSignature,omitempty"`
	Intent       *Attestation `pb:"5" json:"intent,omitempty"`
	ClientKey    Bytes        `pb:"6" json:"clientKey,omitempty"`
	PaymentID    Bytes        `pb:"7" json:"paymentId,omitempty"`
	ToWallet     string       `pb:"8" json:"toWallet,omitempty"`
	HotHead      *Attestation `pb:"9" json:"hotHead,omitempty"`
}

type Batch struct {
	Requests []*Request `pb:"1" json:"requests,omitempty"`
}

type Freeze struct {
	Wallet string `pb:"1" json:"wallet,omitempty"`
	Reason string `pb:"2" json:"reason,omitempty"`
}

type EchoHead struct {
	Head   *Attestation `pb:"1" json:"head,omitempty"`
	Locked bool         `pb:"2" json:"locked,omitempty"`
	After  Bytes        `pb:"3" json:"after,omitempty"`
}

type Settle struct {
	Settlements []*Settlement `pb:"1" json:"settlements,omitempty"`
}

type Settlement struct {
	Wallet string `pb:"1" json:"wallet,omitempty"`
	Chain  string `pb:"2" json:"chain,omitempty"`
	Nonce  uint64 `pb:"3" json:"nonce,omitempty"`
	Digest Bytes  `pb:"4" json:"digest,omitempty"`
	State  int32  `pb:"6" json:"state,omitempty"`
}

type Lease struct {
	UntilMs uint64 `pb:"1" json:"untilMs,omitempty"`
}

type ReadRecords struct {
	After     uint64 `pb:"1" json:"after,omitempty"`
	Wallet    string `pb:"2" json:"wallet,omitempty"`
	PaymentID Bytes  `pb:"3" json:"paymentId,omitempty"`
	Limit     uint32 `pb:"4" json:"limit,omitempty"`
}

// The payload of a response.

type Response struct {
	Created     *Attestation `pb:"1,oneof" json:"created,omitempty"`
	Registered  *Attestation `pb:"2,oneof" json:"registered,omitempty"`
	Allowed     *Allowed     `pb:"3,oneof" json:"allowed,omitempty"`
	Signed      *Signature   `pb:"4,oneof" json:"signed,omitempty"`
	Refused     *Refused     `pb:"5,oneof" json:"refused,omitempty"`
	Unavailable *Refused     `pb:"6,oneof" json:"unavailable,omitempty"`
	Pending     *Pending     `pb:"7,oneof" json:"pending,omitempty"`
	Batch       *Responses   `pb:"8,oneof" json:"batch,omitempty"`
	Done        *Done        `pb:"9,oneof" json:"done,omitempty"`
	Held        *Held        `pb:"10,oneof" json:"held,omitempty"`
	Records     *Records     `pb:"11,oneof" json:"records,omitempty"`
}

type Allowed struct {
	Digest Bytes `pb:"1" json:"digest,omitempty"`
}

type Signature struct {
	Digest    Bytes        `pb:"1" json:"digest,omitempty"`
	Signature Bytes        `pb:"2" json:"signature,omitempty"`
	Head      *Attestation `pb:"3" json:"head,omitempty"`
}

type Refused struct {
	Reason  string `pb:"1" json:"reason,omitempty"`
	Message string `pb:"2" json:"message,omitempty"`
}

type Pending struct {
	Digest      Bytes  `pb:"1" json:"digest,omitempty"`
	NotBeforeMs uint64 `pb:"2" json:"notBeforeMs,omitempty"`
	Reason      string `pb:"3" json:"reason,omitempty"`
}

type Responses struct {
	Responses []*Response `pb:"1" json:"responses,omitempty"`
}

type Done struct{}

type Held struct {
	Head *Attestation `pb:"1" json:"head,omitempty"`
}

type Records struct {
	Records []*Record `pb:"1" json:"records,omitempty"`
	More    bool      `pb:"2" json:"more,omitempty"`
	Store   Bytes     `pb:"3" json:"store,omitempty"`
	Last    uint64    `pb:"4" json:"last,omitempty"`
}

type Record struct {
	Number      uint64  `pb:"1" json:"number,omitempty"`
	OperationID Bytes   `pb:"2" json:"operationId,omitempty"`
	PaymentID   Bytes   `pb:"3" json:"paymentId,omitempty"`
	Wallet      string  `pb:"4" json:"wallet,omitempty"`
	Chain       string  `pb:"5" json:"chain,omitempty"`
	Claims      []*Used `pb:"6" json:"claims,omitempty"`
	Digest      Bytes   `pb:"7" json:"digest,omitempty"`
	State       int32   `pb:"8" json:"state,omitempty"`
	Reason      string  `pb:"9" json:"reason,omitempty"`
	Cancel      bool    `pb:"10" json:"cancel,omitempty"`
}

type Used struct {
	Nonce uint64 `pb:"1" json:"nonce,omitempty"`
	Coin  *Coin  `pb:"2" json:"coin,omitempty"`
}

type Coin struct {
	Transaction Bytes  `pb:"1" json:"transaction,omitempty"`
	Place       uint32 `pb:"2" json:"place,omitempty"`
}

// Statements that outlive their envelope.

type Attestation struct {
	Body      Bytes `pb:"1" json:"body,omitempty"`
	Signer    Bytes `pb:"2" json:"signer,omitempty"`
	Signature Bytes `pb:"3" json:"signature,omitempty"`
}

type HotKeys struct {
	CustodyID Bytes           `pb:"1" json:"custodyId,omitempty"`
	Wallet    string          `pb:"2" json:"wallet,omitempty"`
	Keys      []*NamespaceKey `pb:"3" json:"keys,omitempty"`
}

type NamespaceKey struct {
	Namespace string `pb:"1" json:"namespace,omitempty"`
	PublicKey Bytes  `pb:"2" json:"publicKey,omitempty"`
}

type WalletRecord struct {
	CustodyID      Bytes           `pb:"1" json:"custodyId,omitempty"`
	Wallet         string          `pb:"2" json:"wallet,omitempty"`
	Keys           []*NamespaceKey `pb:"3" json:"keys,omitempty"`
	Salt           Bytes           `pb:"4" json:"salt,omitempty"`
	Addresses      []*ChainAddress `pb:"5" json:"addresses,omitempty"`
	ManifestDigest Bytes           `pb:"6" json:"manifestDigest,omitempty"`
}

type ChainAddress struct {
	Chain   string `pb:"1" json:"chain,omitempty"`
	Address string `pb:"2" json:"address,omitempty"`
}

type AuditHead struct {
	CustodyID Bytes  `pb:"1" json:"custodyId,omitempty"`
	Role      string `pb:"2" json:"role,omitempty"`
	Count     uint64 `pb:"3" json:"count,omitempty"`
	Hash      Bytes  `pb:"4" json:"hash,omitempty"`
	AtMs      uint64 `pb:"5" json:"atMs,omitempty"`
	Overrides uint64 `pb:"6" json:"overrides,omitempty"`
	Epoch     uint64 `pb:"7" json:"epoch,omitempty"`
	Instance  Bytes  `pb:"8" json:"instance,omitempty"`
}

type PaymentIntent struct {
	CustodyID   Bytes  `pb:"1" json:"custodyId,omitempty"`
	ID          Bytes  `pb:"2" json:"id,omitempty"`
	Wallet      string `pb:"3" json:"wallet,omitempty"`
	Chain       string `pb:"4" json:"chain,omitempty"`
	Asset       string `pb:"5" json:"asset,omitempty"`
	To          string `pb:"6" json:"to,omitempty"`
	Amount      string `pb:"7" json:"amount,omitempty"`
	ExpiresAtMs uint64 `pb:"8" json:"expiresAtMs,omitempty"`
}
