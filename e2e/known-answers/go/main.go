// The other side of tests/nats.rs: what the reference implementations of NKeys, XKeys and NATS JWTs make of ours, and
// some of theirs for us. One JSON document in, one out; bytes are standard base64.
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// A key pair, and for signing keys the signature of message by it.
type key struct {
	Seed      string `json:"seed"`
	Public    string `json:"public"`
	Message   []byte `json:"message"`
	Signature []byte `json:"signature"`
}

// A box to the owner of seed from the X25519 public key from, or one still to be made for to.
type box struct {
	Seed string `json:"seed"`
	To   string `json:"to"`
	From []byte `json:"from"`
	Box  []byte `json:"box"`
	Text []byte `json:"text"`
}

// A token, its claims as these libraries see them, and what they object to.
type token struct {
	Token  string     `json:"token"`
	Claims jwt.Claims `json:"claims"`
	Issues []string   `json:"issues"`
}

type request struct {
	Keys   []key    `json:"keys"`
	Tokens []string `json:"tokens"`
	Open   []box    `json:"open"`
	Seal   []box    `json:"seal"`
	Make   int      `json:"make"` // how many keys of each kind and how many operators, accounts and users
}

type response struct {
	Keys   []key    `json:"keys"`
	Tokens []token  `json:"tokens"`
	Signed [][2]int `json:"signed"` // which token's subject, or a scoped key of it, rightly signed which other
	Open   []box    `json:"open"`
	Seal   []box    `json:"seal"`
	Made   made     `json:"made"`
}

type made struct {
	Keys   []key   `json:"keys"`
	Tokens []token `json:"tokens"`
}

func main() {
	log.SetFlags(0)
	var in request
	try(json.NewDecoder(os.Stdin).Decode(&in))
	out := response{Keys: []key{}, Tokens: []token{}, Open: []box{}, Seal: []box{}, Made: made{Keys: []key{}, Tokens: []token{}}}
	for _, k := range in.Keys {
		out.Keys = append(out.Keys, describe(must(nkeys.FromSeed([]byte(k.Seed))), k.Message))
		if len(k.Signature) > 0 {
			try(must(nkeys.FromPublicKey(k.Public)).Verify(k.Message, k.Signature))
		}
	}
	for _, text := range in.Tokens {
		out.Tokens = append(out.Tokens, judge(text))
	}
	out.Signed = signed(out.Tokens)
	for _, b := range in.Open {
		from := must(nkeys.Encode(nkeys.PrefixByteCurve, b.From))
		b.Text = must(must(nkeys.FromSeed([]byte(b.Seed))).Open(b.Box, string(from)))
		out.Open = append(out.Open, b)
	}
	for _, b := range in.Seal {
		own := must(nkeys.CreateCurveKeys())
		b.From = must(nkeys.Decode(nkeys.PrefixByteCurve, []byte(must(own.PublicKey()))))
		b.Box = must(own.Seal(b.Text, b.To))
		out.Seal = append(out.Seal, b)
	}
	for range in.Make {
		out.Made.add()
	}
	try(json.NewEncoder(os.Stdout).Encode(out))
}

func describe(pair nkeys.KeyPair, message []byte) key {
	k := key{Seed: string(must(pair.Seed())), Public: must(pair.PublicKey()), Message: message}
	if !nkeys.IsValidPublicCurveKey(k.Public) {
		k.Signature = must(pair.Sign(message))
	}
	return k
}

// Decodes, which checks the signature and the kinds of keys, and validates as the server does.
func judge(text string) token {
	claims, err := jwt.Decode(text)
	if err != nil {
		return token{Token: text, Issues: []string{err.Error()}}
	}
	results := jwt.CreateValidationResults()
	claims.Validate(results)
	t := token{Token: text, Claims: claims, Issues: []string{}}
	for _, issue := range results.Issues {
		t.Issues = append(t.Issues, issue.Description)
	}
	return t
}

func signed(tokens []token) [][2]int {
	pairs := [][2]int{}
	for i, by := range tokens {
		for j, t := range tokens {
			if i != j && didSign(by.Claims, t.Claims) {
				pairs = append(pairs, [2]int{i, j})
			}
		}
	}
	return pairs
}

func didSign(by, claims jwt.Claims) bool {
	switch by := by.(type) {
	case *jwt.OperatorClaims:
		return claims != nil && by.DidSign(claims)
	case *jwt.AccountClaims:
		if claims == nil || !by.DidSign(claims) {
			return false
		}
		scope, ok := by.SigningKeys.GetScope(claims.Claims().Issuer)
		return ok && scope != nil && scope.ValidateScopedSigner(claims) == nil
	}
	return false
}

// An operator, an account under its signing key and a user under the account's scoped key, with all their keys.
func (m *made) add() {
	operator, operatorSigner := must(nkeys.CreateOperator()), must(nkeys.CreateOperator())
	account, accountSigner := must(nkeys.CreateAccount()), must(nkeys.CreateAccount())
	user, curve := must(nkeys.CreateUser()), must(nkeys.CreateCurveKeys())
	for _, pair := range []nkeys.KeyPair{operator, operatorSigner, account, accountSigner, user, curve} {
		m.Keys = append(m.Keys, describe(pair, []byte("made by Go")))
	}

	oc := jwt.NewOperatorClaims(must(operator.PublicKey()))
	oc.Name, oc.SystemAccount, oc.StrictSigningKeyUsage = "operator", must(account.PublicKey()), true
	oc.SigningKeys.Add(must(operatorSigner.PublicKey()))

	ac := jwt.NewAccountClaims(must(account.PublicKey()))
	ac.Name, ac.Limits.DisallowBearer = "account", true
	ac.RevokeAt(must(user.PublicKey()), time.Unix(1700000000, 0))
	scope := jwt.NewUserScope()
	scope.Key, scope.Role, scope.Description = must(accountSigner.PublicKey()), "keeper", "made by Go"
	scope.Template.Pub.Allow.Add("ms.a", "ms.b")
	scope.Template.Sub.Allow.Add("_INBOX.{{name()}}.>", "ms.c q")
	scope.Template.Sub.Deny.Add("ms.d")
	scope.Template.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	scope.Template.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	ac.SigningKeys.AddScopedSigner(scope)

	uc := jwt.NewUserClaims(must(user.PublicKey()))
	uc.SetScoped(true)
	uc.Name, uc.IssuerAccount, uc.Expires = "keeper", must(account.PublicKey()), 4102444800

	for _, made := range []struct {
		claims jwt.Claims
		by     nkeys.KeyPair
	}{{oc, operator}, {ac, operatorSigner}, {uc, accountSigner}} {
		m.Tokens = append(m.Tokens, judge(must(made.claims.Encode(made.by))))
	}
}

func must[T any](value T, err error) T {
	try(err)
	return value
}

func try(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
