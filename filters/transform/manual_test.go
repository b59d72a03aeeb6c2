package transform_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestTheConfigurationsOfTheManual runs each configuration of the manual's page, in their order, before a service that answers as the page says.
func TestTheConfigurationsOfTheManual(t *testing.T) {
	page, err := os.ReadFile("../../docs/manual/transformation.md")
	if err != nil {
		t.Fatal(err)
	}
	configs := regexp.MustCompile("(?s)```yaml\n(listen:.*?)```").FindAllStringSubmatch(string(page), -1)
	const envelope = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:GetUserResponse xmlns:u="urn:users"><u:id>7</u:id><u:name>Ann</u:name><u:email>ann@example.com</u:email></u:GetUserResponse></s:Body></s:Envelope>`
	const list = `{"items":[{"id":1,"customer":{"name":"Ann"},"total":19.90},{"id":2,"customer":{"name":"Bob"},"total":5}]}`
	tests := []struct {
		method, path, body string
		fields             []string
		typ, answer        string // of the service; "echo": what it was sent
		want               string
	}{
		{"GET", "/orders/1", "", nil, "application/json", `{"id":1.50,"cust":"Ann","card":"4111111111111111","internal":{},"items":[{"sku":"a","cost":2}]}`, `{"id":1.50,"customer":"Ann","card":"***1111","items":[{"sku":"a"}],"currency":"EUR"}`},
		{"GET", "/users/7", "", nil, "application/json", `{"id":7,"full_name":"Ann","password":"x"}`, `{"id":7,"link":"https://example.com/users/7","name":"Ann"}`},
		{"GET", "/users/7", "", nil, "text/xml", envelope, `{"name":"Ann","email":"ann@example.com"}`},
		{"GET", "/export", "", []string{"Accept: text/csv"}, "application/json", list, "id,customer,total\r\n1,Ann,19.90\r\n2,Bob,5\r\n"},
		{"POST", "/orders", "customer[name]=Ann&items=a&csrf_token=x", []string{"Content-Type: application/x-www-form-urlencoded"}, "text/plain", "echo", `{"customer":{"name":"Ann"},"items":["a"],"by":null,"source":"web"}`},
		{"GET", "/hello/7", "", nil, "application/json", `{"name":"<Ann>"}`, `<h1>Hello &lt;Ann&gt;</h1>`},
	}
	if len(configs) != len(tests) {
		t.Fatalf("the page has %d configurations", len(configs))
	}
	for i, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			var sent string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				sent = r.Method + " " + r.URL.Path + " " + r.Header.Get("Soapaction") + " " + string(body)
				w.Header().Set("Content-Type", test.typ)
				if test.answer == "echo" {
					_, _ = w.Write(body)
					return
				}
				_, _ = io.WriteString(w, test.answer)
			}))
			defer s.Close()
			text := strings.Replace(configs[i][1], "listen: :8080", "listen: 127.0.0.1:0", 1)
			g := gatewaytest.New(t, regexp.MustCompile(`http://\w+:8080`).ReplaceAllString(text, s.URL))
			resp, body := g.Do(test.method, test.path, test.body, test.fields...)
			if resp.StatusCode != 200 || body != test.want {
				t.Errorf("got %d %s\nsent: %s", resp.StatusCode, body, sent)
			}
			if i == 2 && !strings.Contains(sent, `POST /UserService "urn:users#GetUser" <?xml`) {
				t.Errorf("sent: %s", sent)
			}
		})
	}
}
