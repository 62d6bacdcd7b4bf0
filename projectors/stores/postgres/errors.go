// Copyright The Projectionist Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/projectionist-dev/projectionist/projectors/stores"
)

// Reasons of this store beside those of package stores.
const (
	ReasonTLS               = "TLSMisconfigured"
	ReasonDatabaseMissing   = "DatabaseMissing"
	ReasonReadOnly          = "ReadOnly"
	ReasonResources         = "ResourcesExhausted"
	ReasonContention        = "Contention"
	ReasonTimeout           = "Timeout"
	ReasonVersionTooOld     = "VersionTooOld"
	ReasonDependentObjects  = "DependentObjects"
	ReasonStoreError        = "StoreError"
	ReasonInvalidDefinition = "InvalidDefinition"
)

// SQLSTATEs that are looked for by name.
const (
	stateDivisionByZero   = "22012"
	stateInvalidParameter = "22023"
	stateNotNullViolation = "23502"
	stateUniqueViolation  = "23505"
	stateUndefinedTable   = "42P01"
	stateUndefinedSchema  = "3F000"
	stateDuplicateTable   = "42P07"
	stateDuplicateObject  = "42710"
	stateDependents       = "2BP01"
	statePrivilege        = "42501"
	stateReadOnly         = "25006"
	stateQueryCanceled    = "57014"
	stateLockNotAvailable = "55P03"
	stateLimitExceeded    = "54000" // an index entry or an array that would be too large
	stateNoSuchStatement  = "26000"
	stateDupStatement     = "42P05"
	stateStalePlan        = "0A000"
)

// fault is what the writer does about an error.
type fault uint8

const (
	faultPermanent fault = iota // give it back
	faultRetry                  // contention, resources: run the transaction again
	faultLost                   // the connection is gone: whether it committed is unknown
)

func sqlState(err error) (*pgconn.PgError, string) {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe, pe.Code
	}
	return nil, ""
}

// usageError is a mistake of the caller: no repetition helps.
type usageError string

func (e usageError) Error() string { return "postgres: " + string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// damaged says that something in the bookkeeping cannot be read: no repetition helps, and the connection is as good as it was.
func damaged(what string, err error) error {
	return &stores.EnvironmentError{Reason: ReasonStoreError, Err: err, Message: fmt.Sprintf(
		"the bookkeeping holds %s that cannot be read (%v): somebody else has written it, or a newer release", what, err)}
}

// settled tells whether an error already is what the interfaces of package
// stores promise, or the caller's own.
func settled(err error) bool {
	var (
		ee *stores.EnvironmentError
		fe *stores.FencedError
		de *stores.DataError
		ne *stores.NameTakenError
		se *stores.SwitchError
		ue usageError
	)
	return errors.As(err, &se) || errors.As(err, &ee) || errors.As(err, &fe) || errors.As(err, &de) || errors.As(err, &ne) || errors.As(err, &ue) ||
		errors.Is(err, stores.ErrNoPosition) || errors.Is(err, errWire)
}

// unexpected tells that the server has answered, and not with what the statement was to give.
func unexpected(err error) bool {
	return errors.Is(err, pgx.ErrNoRows) || errors.As(err, new(pgx.ScanArgError))
}

// kind tells what to do about an error of a transaction. What is not known is taken for a loss of the connection: the driver
// has many words for it, and to try again in vain costs less than to give up.
func kind(err error) fault {
	pe, code := sqlState(err)
	if pe == nil {
		var ce *pgconn.ConnectError
		switch {
		case errors.Is(err, errAppeared):
			return faultRetry
		case settled(err), errors.As(err, &ce), unexpected(err):
			return faultPermanent
		}
		return faultLost
	}
	switch {
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"), code == "25P03", code == "25P04":
		return faultLost // shut down, or ended by a timeout of the session
	case strings.HasPrefix(code, "40"), code == stateLockNotAvailable, code == stateQueryCanceled,
		strings.HasPrefix(code, "53"), code == stateNoSuchStatement, code == stateDupStatement, code == stateStalePlan:
		return faultRetry
	}
	return faultPermanent
}

// isData tells whether an error of a table's statement is a fault of the rows.
func isData(err error) bool {
	_, code := sqlState(err)
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23") || code == stateLimitExceeded
}

// environment turns an error of the driver or the server into an
// *stores.EnvironmentError; errors of this package, and the caller's own
// cancellation, stay as they are. PostgreSQL's message is used only where it
// names objects and roles, never where it might show a value.
func environment(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if settled(err) {
		return err
	}
	if errors.Is(err, errAppeared) {
		return &stores.EnvironmentError{Reason: ReasonContention, Message: "other transactions keep creating the same rows", Err: err}
	}
	reason, message := explain(err)
	return &stores.EnvironmentError{Reason: reason, Message: message, Err: err}
}

func explain(err error) (reason, message string) {
	pe, code := sqlState(err)
	switch {
	case pe == nil && unexpected(err):
		return ReasonStoreError, "a row of the bookkeeping is missing, or holds what it should not: " + lastPart(err)
	case pe == nil:
		return explainConnection(err)
	}
	switch {
	case strings.HasPrefix(code, "28"):
		return stores.ReasonAuthenticationFailed, "the server refuses the login: " + pe.Message + "; check user, password and pg_hba.conf"
	case code == "3D000":
		return ReasonDatabaseMissing, pe.Message + ": create it, or correct the name"
	case code == statePrivilege:
		return stores.ReasonForbidden, pe.Message + ": grant what is missing to the role of the ReadStore's credentials"
	case code == stateUndefinedTable, code == stateUndefinedSchema:
		return stores.ReasonNotPrepared, pe.Message + ": the tables of this revision were not prepared, or somebody dropped them"
	case code == stateReadOnly:
		return ReasonReadOnly, "the server takes no writes (a replica, or default_transaction_read_only): connect to the primary"
	case strings.HasPrefix(code, "53"):
		return ReasonResources, pe.Message + " (SQLSTATE " + code + "): give the server more of it"
	case strings.HasPrefix(code, "40"), code == stateLockNotAvailable:
		return ReasonContention, "another transaction holds the locks for too long (SQLSTATE " + code + "): look for it in pg_stat_activity"
	case code == stateQueryCanceled:
		return ReasonTimeout, "a statement took longer than statement_timeout: the server is overloaded, or waits for a lock or a synchronous standby"
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"):
		return stores.ReasonUnreachable, "the server ended the connection: " + pe.Message
	case code == stateDependents:
		return ReasonDependentObjects, pe.Message + ": " + pe.Detail + ". Drop what depends on it first"
	case strings.HasPrefix(code, "42"):
		return ReasonInvalidDefinition, fmt.Sprintf("the server refuses a statement with SQLSTATE %s: %s", code, pe.Message)
	}
	return ReasonStoreError, "the server answers with SQLSTATE " + code + "; its log says more"
}

func explainConnection(err error) (reason, message string) {
	var (
		ce  *pgconn.ConnectError
		ne  net.Error
		dns *net.DNSError
	)
	where := "the server"
	if errors.As(err, &ce) {
		where = fmt.Sprintf("the server at %s port %d", ce.Config.Host, ce.Config.Port)
	}
	text := err.Error()
	switch {
	case errors.As(err, &dns):
		return stores.ReasonUnreachable, where + " has no address: " + dns.Error()
	case strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ") || strings.Contains(text, "server refused TLS"):
		return ReasonTLS, where + " cannot be talked to over TLS: " + lastPart(err)
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return stores.ReasonUnreachable, where + " does not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return stores.ReasonUnreachable, where + " closed the connection"
	case ce != nil:
		return stores.ReasonUnreachable, where + " cannot be reached: " + lastPart(err)
	}
	return stores.ReasonUnreachable, "the connection to the server broke: " + lastPart(err)
}

// lastPart is the innermost error: the wrapping ones repeat user and database.
func lastPart(err error) string {
	for {
		switch u := err.(type) { //nolint:errorlint // it walks the chain itself
		case interface{ Unwrap() error }:
			if u.Unwrap() == nil {
				return err.Error()
			}
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			if len(u.Unwrap()) == 0 {
				return err.Error()
			}
			err = u.Unwrap()[len(u.Unwrap())-1]
		default:
			return err.Error()
		}
	}
}
