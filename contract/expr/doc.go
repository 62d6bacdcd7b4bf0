// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expr compiles and evaluates the CEL expressions of EventTopics and
// Projections.
//
// Variables:
//
//	event           the decoded payload (dyn)
//	key             the message key as text; reading a null or non-UTF-8 key is an error
//	headers         the record's headers by name, as text; of headers of one name the last one counts
//	meta.topic      the EventTopic's name (string)
//	meta.partition  int
//	meta.position   string, opaque
//	meta.time       timestamp: the event's time, the record's where the topic declares none
//	meta.type       string, "" where the topic declares none
//	meta.id         string, "" where the topic declares none
//	row.<column>    the row before the event, typed by its column (Options.Row)
//	item, index     the element of a forEach and its number (Options.Item)
//	count, sum.<column>, min.<column>, max.<column>
//	                over all rows of a table (ScopeTable)
//
// Which of them are there is a matter of Options: see Scope.
//
// Numbers (CORRECTNESS 3): a JSON number is an int when it is integral and fits
// 64 bits (5.0 is 5), otherwise a decimal; a literal with a point or an exponent
// is a decimal, too. Decimals and ints mix in + - * / and comparisons, exactly;
// a result beyond value.MaxDigits digits is an error. A quotient of a decimal is
// rounded half away from zero to DivisionDigits significant digits; int / int
// drops the fraction, so division and % refuse operands whose type is not known
// when the expression is compiled. A double comes from double(...) alone and
// mixes with nothing.
//
// Functions: CEL's standard ones without time zones, its strings (charAt,
// indexOf, join, lastIndexOf, lowerAscii, replace, split, substring, trim,
// upperAscii) and encoders extensions, optional syntax (event.?x.orValue(y)), cel.bind, and
//
//	decimal(string|int|decimal)   exact
//	int(decimal)                  exact or an error
//	string(decimal)               plain digits without trailing zeros
//	double(decimal)               the nearest
//	date(timestamp)               midnight UTC of that day
//
// and scalarFuncs, listDeclarations and patternDeclarations (docs/expressions.md lists them).
//
// Nothing else reads a clock, a random number or a time zone database: an
// expression is a function of the event and, where it reads it, of the row. A
// missing field is an error that names its path. Of two members of one name in an
// object the first counts. No error carries a value (Law 7). Compiling and
// evaluating are bounded (Law 10).
//
// A Schema of the payload is for checks alone. Common shapes run as Go closures
// over the members that contract/jsondoc found in the text, or over fastjson's tree,
// the rest in CEL; a differential test holds the three equal. Neighbours: contract/value
// converts results; contract/compile checks specs with it, projectors/handlers evaluates.
package expr
