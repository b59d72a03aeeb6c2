package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"cardea.dev/cardea/config"
)

// orderTime is how long one order may take, besides what a program and its records take.
const orderTime = 5 * time.Minute

// together is how much is asked of one authority at once.
const together = 4

// authority is one way of getting certificates: with one authority, by one account, kept in one store. It is immutable.
type authority struct {
	settings settings
	place    string // in the store: what belongs to one authority stays apart from what belongs to another
	store    store
	solvers  map[string]acmez.Solver
	http     *http.Transport
	slots    chan struct{}
}

// newAuthority makes an authority. It asks it nothing.
func newAuthority(s settings, answers *answers) (*authority, error) {
	directory, err := url.Parse(s.directory)
	if err != nil {
		return nil, err
	}
	kept, err := openStore(s.storage)
	if err != nil {
		return nil, config.FieldErrorf("storage", "%w", err)
	}
	sum := sha256.Sum256([]byte(s.directory))
	a := &authority{
		settings: s, store: kept, slots: make(chan struct{}, together),
		place: directory.Hostname() + "-" + hex.EncodeToString(sum[:4]),
	}
	a.http = &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 30 * time.Second,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
	}
	if s.roots != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(s.roots)) // which was checked
		a.http.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	a.solvers = map[string]acmez.Solver{}
	for _, kind := range s.challenges {
		switch kind {
		case acme.ChallengeTypeDNS01:
			a.solvers[kind] = hook{s.hook}
		default:
			a.solvers[kind] = solver{answers, a}
		}
	}
	return a, nil
}

// enter waits until the authority may be asked one thing more, which leave ends; false: ctx has ended first.
func (a *authority) enter(ctx context.Context) bool {
	select {
	case a.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *authority) leave() { <-a.slots }

// close gives up connections.
func (a *authority) close() { a.http.CloseIdleConnections() }

// patience is how long one order may take in all.
func (a *authority) patience() time.Duration {
	return orderTime + a.settings.hook.timeout + a.settings.hook.wait
}

// newClient makes what speaks with the authority. It is for one goroutine.
func (a *authority) newClient() *acmez.Client {
	return &acmez.Client{
		Client: &acme.Client{
			Directory: a.settings.directory, UserAgent: "cardea", PollTimeout: orderTime,
			HTTPClient: &http.Client{Transport: a.http, Timeout: time.Minute},
		},
		ChallengeSolvers: a.solvers,
	}
}

// order gets a certificate, which may take minutes, and stores it.
func (a *authority) order(ctx context.Context, name string, replaces *tls.Certificate) (*tls.Certificate, error) {
	client := a.newClient()
	account, err := a.account(ctx, client)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := acmez.NewCSR(key, []string{name})
	if err != nil {
		return nil, err
	}
	order, err := acmez.OrderParametersFromCSR(account, request)
	if err != nil {
		return nil, err
	}
	order.Profile = a.settings.profile
	if replaces != nil {
		order.Replaces = replaces.Leaf
	}
	chains, err := client.ObtainCertificate(ctx, order)
	if err == nil && len(chains) == 0 {
		err = errors.New("the authority gave no certificate")
	}
	if err != nil {
		return nil, a.plain(ctx, err)
	}
	text, err := encode(key, chains[0].ChainPEM)
	if err != nil {
		return nil, err
	}
	cert, err := decode(text, name)
	if err != nil {
		return nil, fmt.Errorf("cannot use the certificate that the authority gave: %w", err)
	}
	if err := a.store.save(ctx, a.stored(name), text); err != nil {
		return cert, fmt.Errorf("cannot store the certificate: %w", err)
	}
	return cert, nil
}

// plain makes an error of the protocol one that an operator can read. An account that the authority does not know is forgotten.
func (a *authority) plain(ctx context.Context, err error) error {
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return err
	}
	if problem.Type == acme.ProblemTypeAccountDoesNotExist {
		_ = a.store.remove(ctx, a.accountName())
	}
	text := fmt.Sprintf("the authority refuses: %s (%s)", problem.Detail, strings.TrimPrefix(problem.Type, "urn:ietf:params:acme:error:"))
	for _, sub := range problem.Subproblems {
		text += fmt.Sprintf("; %s: %s", sub.Identifier.Value, sub.Detail)
	}
	return errors.New(text)
}

// validRoots says whether a text has certificates to trust.
func validRoots(text []byte) bool { return x509.NewCertPool().AppendCertsFromPEM(text) }

// validMAC says whether a key is as it stands in configurations: in base64url.
func validMAC(key string) bool {
	_, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(key, "="))
	return err == nil && key != ""
}

// accountFile is an account as it is stored.
type accountFile struct {
	Account acme.Account `json:"account"`
	Key     string       `json:"key"` // PEM
}

func (a *authority) accountName() string {
	who := a.settings.email
	if a.settings.eabKey != "" {
		who += "+" + a.settings.eabKey
	}
	if who == "" {
		who = "default"
	}
	return a.place + "/accounts/" + who + ".json"
}

// account returns the account with the authority, which is made when there is none.
func (a *authority) account(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	unlock, err := a.store.lock(ctx, a.accountName())
	if err != nil {
		return acme.Account{}, fmt.Errorf("cannot lock the account: %w", err)
	}
	defer unlock()
	text, err := a.store.load(ctx, a.accountName())
	if err == nil {
		return readAccount(text)
	}
	if !errors.Is(err, errNotStored) {
		return acme.Account{}, fmt.Errorf("cannot load the account: %w", err)
	}
	return a.register(ctx, client)
}

func readAccount(text []byte) (acme.Account, error) {
	var f accountFile
	if err := json.Unmarshal(text, &f); err != nil {
		return acme.Account{}, fmt.Errorf("cannot read the stored account: %w", err)
	}
	block, _ := pem.Decode([]byte(f.Key))
	if block == nil {
		return acme.Account{}, errors.New("cannot read the stored account: it has no key")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return acme.Account{}, fmt.Errorf("cannot read the key of the stored account: %w", err)
	}
	f.Account.PrivateKey = key
	return f.Account, nil
}

// register makes an account.
func (a *authority) register(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if a.settings.email != "" {
		account.Contact = []string{"mailto:" + a.settings.email}
	}
	if a.settings.eabKey != "" {
		binding := acme.EAB{KeyID: a.settings.eabKey, MACKey: strings.TrimRight(a.settings.eabMAC, "=")}
		if err := account.SetExternalAccountBinding(ctx, client.Client, binding); err != nil {
			return acme.Account{}, fmt.Errorf("cannot bind the account: %w", a.plain(ctx, err))
		}
	}
	if account, err = client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("cannot make an account: %w", a.plain(ctx, err))
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return acme.Account{}, err
	}
	text, err := json.Marshal(accountFile{account, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))})
	if err != nil {
		return acme.Account{}, err
	}
	if err := a.store.save(ctx, a.accountName(), text); err != nil {
		return acme.Account{}, fmt.Errorf("cannot store the account: %w", err)
	}
	return account, nil
}
