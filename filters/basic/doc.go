// Package basic is the policy `basic`: callers show a user name and a password (HTTP Basic, RFC 7617).
//
// # Syntax
//
// The empty form asks for the consumers' passwords. The user name is the consumer's name:
//
//	basic: {}
//
// Users may stand in a file in the form of htpasswd, which is read again when it changes, or in the configuration:
//
//	basic: users.htpasswd
//
//	basic: {file: users.htpasswd, realm: Operations, groups: {admins: [ada]}}
//
//	basic: {users: {ada: "$2y$05$WWEDI/Abpd4SaOLyLcgMHe10PO8GtCE19CBwaCmAs9tgMHaQBjZyO"}, consumers: true}
//
// # Stage
//
// authenticate. A wrong password, an unknown user, and anything that is not well formed get 401 password_invalid; a request without
// a password gets 401 credentials_missing. Both say which realm the password is for, so that browsers ask for it.
//
// Hashes are argon2id or bcrypt. Checking one is slow on purpose, so a password that was right is remembered for a while, as a keyed hash
// of user, password and the user's hash; a changed hash counts at once. Wrong ones, and those of users that there are not, cost the
// full time; only so many are checked at once that requests go on being served. Who has to wait too long gets 503
// authentication_unavailable, and an address with too many waiting 429 too_many_failures. The field Authorization is removed from what the
// upstream sees, unless `forward` is on.
//
// # Explain
//
// Which user it is, or why the password is refused. It cannot be said while all places for checking are taken.
//
// # Metrics
//
// cardea_authentications_total{policy="basic"}.
package basic
