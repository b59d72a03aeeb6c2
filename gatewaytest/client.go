package gatewaytest

import (
	"crypto/tls"
	"net/http"
)

// client returns a client that shows answers as they are.
func client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableCompression:  true,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 256,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is the test's own
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
