# A static binary and nothing else, run by nobody.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /cardea ./cmd/cardea

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /cardea /cardea
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/cardea"]
CMD ["run", "/etc/cardea/cardea.yaml"]
