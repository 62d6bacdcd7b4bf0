// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package value

// Value is one column's value. Its dynamic type follows from the column's Type:
//
//	text              a string
//	bool              a bool
//	int32, int64      an int64
//	float64           a float64, finite, never -0
//	decimal(p,s)      *apd.Decimal, exponent -s, never modified after it was made
//	timestamp         time.Time in UTC, whole microseconds
//	date              time.Time in UTC, midnight
//	time              TimeOfDay
//	uuid              [16]byte
//	json              JSON
//	bytes             []byte, never modified after it was made
//	T[]               []Value of T, never modified after it was made
//
// NULL is nil.
type Value = any

// JSON is the text of a JSON value.
type JSON string

// TimeOfDay is a time of day without a zone, in microseconds since midnight:
// from 0 up to, without, 24 hours.
type TimeOfDay int64

// Microseconds in an hour, a minute and a second.
const (
	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
)

// String gives the canonical text, such as 15:04:05 or 15:04:05.5: seconds
// always, no trailing zeros in their fraction.
func (t TimeOfDay) String() string {
	b := make([]byte, 0, len("15:04:05.000000"))
	two := func(n TimeOfDay) { b = append(b, byte('0'+n/10), byte('0'+n%10)) }
	two(t / microsPerHour)
	b = append(b, ':')
	two(t / microsPerMinute % 60)
	b = append(b, ':')
	two(t / microsPerSecond % 60)
	if f := t % microsPerSecond; f != 0 {
		b = append(b, '.')
		for unit := TimeOfDay(microsPerSecond / 10); f != 0; unit /= 10 {
			b = append(b, byte('0'+f/unit))
			f %= unit
		}
	}
	return string(b)
}
