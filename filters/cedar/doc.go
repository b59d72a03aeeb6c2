// Package cedar is the policy `cedar`: who may do what, decided by a set of policies in the language Cedar.
//
// # What it does
//
// Each request becomes a question: may this principal do this action to this resource, in this context? The policies of the set answer
// it. A request passes when a policy permits it and none forbids it.
//
// # Syntax
//
// Short, the policies: files, or the text itself, which is told by its semicolon:
//
//	cedar: orders.cedar
//
//	cedar: 'permit(principal in Group::"staff", action, resource in Route::"orders");'
//
// Long:
//
//	cedar:
//	  policies: [common.cedar, orders.cedar]
//	  entities: entities.json
//	  schema: orders.cedarschema
//	  principal: 'User::"{identity.subject}"'
//	  action: 'Action::"{method}"'
//	  resource: 'Order::"{path.id}"'
//	  context: {tenant: header.x-tenant}
//	  message: Ask your administrator.
//
// What policies see:
//
//	principal  User::"<subject>", in Group::"<group>" for each group, with the attributes subject, consumer, method, groups, scopes, tags
//	           and claims; Anonymous::"" where the caller is not known
//	action     Action::"<METHOD>"
//	resource   Path::"<path>", in Route::"<route>", with the attributes route, path, host, scheme and params
//	context    address, time, method, host, path, and what `context` names
//
// Attributes that there are no values for are absent: policies ask `principal has consumer`. Numbers are Long, or Decimal where they are not
// whole. Entities of the same name in the files add their parents and attributes; of an attribute that both have, that of the file counts.
//
// # What cannot be evaluated
//
// A policy of permit that cannot be evaluated, as when it asks for an attribute that is not there, does not permit. One of forbid that
// cannot be evaluated refuses: Cedar would leave it out, which a gateway should not.
//
// # Stage
//
// authorize, after deny and allow. A caller who is not known and may not pass gets 401 credentials_missing, one who is known 403
// access_denied.
//
// # Explain
//
// The question, and which policies permitted or forbade it, by their @id or their place.
//
// # Metrics
//
// None of its own. Refusals are in cardea_errors_total{code="access_denied"}.
package cedar
