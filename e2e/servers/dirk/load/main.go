// Prepares a wallet for dirk, and asks dirk for attestations under load: the client of the benchmark of signatures.
//
//	load prepare FOLDER ACCOUNTS PASSPHRASE
//	load run ADDRESS CA CERTIFICATE KEY CONCURRENCY SECONDS BATCH FIRST-EPOCH
//	load curve
//
// `curve` prints the microseconds that a bare signature takes; `run` prints one line of JSON: the signatures, the seconds, and the milliseconds of half and of 99 of 100 requests.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	pb "github.com/wealdtech/eth2-signer-api/pb/v1"
	e2types "github.com/wealdtech/go-eth2-types/v2"
	keystorev4 "github.com/wealdtech/go-eth2-wallet-encryptor-keystorev4"
	nd "github.com/wealdtech/go-eth2-wallet-nd/v2"
	filesystem "github.com/wealdtech/go-eth2-wallet-store-filesystem"
	e2wtypes "github.com/wealdtech/go-eth2-wallet-types/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const wallet = "bench"

// Domain of attestations: the type in the first four bytes, a fork and a chain that are nobody's.
var domain = append([]byte{1, 0, 0, 0}, make([]byte, 28)...)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "prepare":
		accounts, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return prepare(args[1], accounts, args[3])
	case len(args) == 9 && args[0] == "run":
		return load(args[1:])
	case len(args) == 1 && args[0] == "curve":
		return curve()
	default:
		return errors.New("usage: load prepare FOLDER ACCOUNTS PASSPHRASE | load run ADDRESS CA CERTIFICATE KEY CONCURRENCY SECONDS BATCH FIRST-EPOCH | load curve")
	}
}

func name(account int) string { return fmt.Sprintf("%d", account) }

// prepare makes the accounts with random keys.
func prepare(folder string, accounts int, passphrase string) error {
	ctx := context.Background()
	if err := e2types.InitBLS(); err != nil {
		return err
	}
	// Its cost is paid when an account is first opened, not with each signature.
	made, err := nd.CreateWallet(ctx, wallet, filesystem.New(filesystem.WithLocation(folder)), keystorev4.New())
	if err != nil {
		return err
	}
	if err := made.(e2wtypes.WalletLocker).Unlock(ctx, nil); err != nil {
		return err
	}
	for account := range accounts {
		if _, err := made.(e2wtypes.WalletAccountCreator).CreateAccount(ctx, name(account), []byte(passphrase)); err != nil {
			return err
		}
	}
	return nil
}

// curve signs as dirk's library does, on one core.
func curve() error {
	if err := e2types.InitBLS(); err != nil {
		return err
	}
	key, err := e2types.GenerateBLSPrivateKey()
	if err != nil {
		return err
	}
	const times = 1000
	root := make([]byte, 32)
	begun := time.Now()
	for range times {
		key.Sign(root)
	}
	fmt.Println(float64(time.Since(begun).Nanoseconds()) / 1000 / times)
	return nil
}

type outcome struct {
	latencies []time.Duration
	err       error
}

func load(args []string) error {
	var numbers [4]int
	for place, text := range args[4:] {
		number, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		numbers[place] = number
	}
	concurrency, seconds, batch, epoch := numbers[0], numbers[1], numbers[2], uint64(numbers[3])
	client, err := connect(args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	outcomes := make([]outcome, concurrency)
	started := time.Now()
	until := started.Add(time.Duration(seconds) * time.Second)
	for worker := range concurrency {
		all.Go(func() {
			outcomes[worker] = work(client, worker*batch, batch, epoch, until)
		})
	}
	all.Wait()
	took := time.Since(started)
	var latencies []time.Duration
	for _, outcome := range outcomes {
		if outcome.err != nil {
			return outcome.err
		}
		latencies = append(latencies, outcome.latencies...)
	}
	if len(latencies) == 0 {
		return errors.New("nothing was signed")
	}
	slices.Sort(latencies)
	at := func(percent int) float64 {
		return float64(latencies[(len(latencies)-1)*percent/100].Microseconds()) / 1000
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"signatures": len(latencies) * batch, "seconds": took.Seconds(), "p50": at(50), "p99": at(99),
	})
}

func connect(address, ca, certificate, key string) (pb.SignerClient, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the authority's certificate is not readable")
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS13}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, err
	}
	return pb.NewSignerClient(connection), nil
}

// work signs with accounts of its own: each signs one attestation an epoch, as a validator does.
func work(client pb.SignerClient, first, batch int, epoch uint64, until time.Time) outcome {
	var latencies []time.Duration
	for ; time.Now().Before(until); epoch++ {
		asked := time.Now()
		if err := sign(client, first, batch, epoch); err != nil {
			return outcome{err: err}
		}
		latencies = append(latencies, time.Since(asked))
	}
	return outcome{latencies: latencies}
}

func sign(client pb.SignerClient, first, batch int, epoch uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if batch == 1 {
		answer, err := client.SignBeaconAttestation(ctx, attestation(first, epoch))
		if err != nil {
			return err
		}
		return signed(answer)
	}
	requests := make([]*pb.SignBeaconAttestationRequest, batch)
	for place := range batch {
		requests[place] = attestation(first+place, epoch)
	}
	answer, err := client.SignBeaconAttestations(ctx, &pb.SignBeaconAttestationsRequest{Requests: requests})
	if err != nil {
		return err
	}
	if len(answer.GetResponses()) != batch {
		return fmt.Errorf("%d answers to %d requests", len(answer.GetResponses()), batch)
	}
	for _, answer := range answer.GetResponses() {
		if err := signed(answer); err != nil {
			return err
		}
	}
	return nil
}

func attestation(account int, epoch uint64) *pb.SignBeaconAttestationRequest {
	root := make([]byte, 32)
	return &pb.SignBeaconAttestationRequest{
		Id:     &pb.SignBeaconAttestationRequest_Account{Account: wallet + "/" + name(account)},
		Domain: domain,
		Data: &pb.AttestationData{
			Slot:            epoch * 32,
			BeaconBlockRoot: root,
			Source:          &pb.Checkpoint{Epoch: epoch - 1, Root: root},
			Target:          &pb.Checkpoint{Epoch: epoch, Root: root},
		},
	}
}

func signed(answer *pb.SignResponse) error {
	if answer.GetState() != pb.ResponseState_SUCCEEDED || len(answer.GetSignature()) == 0 {
		return fmt.Errorf("dirk does not sign: %s", answer.GetState())
	}
	return nil
}
