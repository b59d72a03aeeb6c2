package soap

import (
	"mime"

	"cardea.dev/cardea/internal/convert"
)

// Media is what the Content-Type of an envelope says.
type Media struct {
	Version string // 1.1 or 1.2
	Charset string
	Action  string // of 1.2
}

// ReadContentType reads the Content-Type of an envelope. Those of attachments are refused.
func ReadContentType(value string) (Media, error) {
	name, params, err := mime.ParseMediaType(value)
	if err != nil {
		return Media{}, fail(convert.Unsupported, "the Content-Type cannot be read")
	}
	switch name {
	case "text/xml":
		return Media{Version: "1.1", Charset: params["charset"]}, nil
	case "application/soap+xml":
		return Media{Version: "1.2", Charset: params["charset"], Action: params["action"]}, nil
	case "multipart/related", "application/xop+xml":
		return Media{}, fail(convert.Refused, "attachments (MTOM, SOAP with attachments) are not accepted")
	}
	return Media{}, fail(convert.Unsupported, name+" is no media type of SOAP; text/xml is for 1.1, application/soap+xml for 1.2")
}

// ContentType is that of the envelopes that are made. A request of 1.2 has its action there.
func (o *Options) ContentType() string {
	if o.Version != "1.2" {
		return "text/xml; charset=utf-8"
	}
	if o.Action == "" {
		return "application/soap+xml; charset=utf-8"
	}
	return `application/soap+xml; charset=utf-8; action="` + o.Action + `"`
}

// SOAPAction is the header field that a request of 1.1 must have, in its quotes; "" for 1.2, which has none.
func (o *Options) SOAPAction() string {
	if o.Version == "1.2" {
		return ""
	}
	return `"` + o.Action + `"`
}

func fail(kind convert.Kind, reason string) error {
	return &convert.Error{Format: "SOAP", Kind: kind, Offset: -1, Reason: reason}
}
