/* SPDX-License-Identifier: MIT
 * error.c -- names and sentences for error codes. */
#define _GNU_SOURCE /* strerrordesc_np, strerrorname_np */
#include <string.h>

#include "http1.h"
#include "twistlua.h"
#include "websocket.h"

static const struct own_error {
    int code;
    const char *name, *message;
} OWN[] = {
    {TWL_EEOF, "EOF", "Connection was closed cleanly"},
    {TWL_ECLOSED, "ECLOSED", "Object is closed"},
    {TWL_EBACKEND, "EBACKEND", "No such reactor backend here"},
    {TWL_ECHANGED, "ECHANGED", "The file was changed while it was sent"},
    {TWL_EDENIED, "EDENIED", "Not permitted by the sandbox"},
    {TWL_ETLSCONFIG, "ETLSCONFIG",
     "A certificate, key or other TLS setting is of no use"},
    {TWL_ENOHOSTNAME, "ENOHOSTNAME",
     "No host name that the certificate could be checked against"},
    {TWL_ENOCERTIFICATE, "ENOCERTIFICATE", "A TLS server needs a certificate"},
    {TWL_ETLS, "ETLS", "TLS failed"},
    {TWL_ETRUNCATED, "ETRUNCATED",
     "The peer ended the connection without a TLS close_notify"},
    {TWL_ENOCERTIFICATE, "ENOCERTIFICATE",
     "A TLS server needs a certificate"},
    {TWL_ESCRIPT, "ESCRIPT", "The script raised an error"},
    {TWL_ESYNTAX, "ESYNTAX", "The script cannot be compiled"},
    {TWL_ETHREAD, "ETHREAD", "Called on another thread than the owner's"},
    {TWL_ENOADDRESS, "ENOADDRESS", "The name has no such address"},
    {TWL_EFORMERR, "EFORMERR", "The name server did not understand"},
    {TWL_ESERVFAIL, "ESERVFAIL", "The name server failed"},
    {TWL_ENXDOMAIN, "ENXDOMAIN", "There is no such name"},
    {TWL_ENOTIMP, "ENOTIMP", "The name server does not answer such questions"},
    {TWL_EREFUSED, "EREFUSED", "The name server refused to answer"},
    {TWL_ECODING, "ECODING", "The bytes are not of the content coding"},
    {TWL_ECODING_END, "ECODING_END", "Bytes follow the end of the coding"},
    {TWL_ECODING_SHORT, "ECODING_SHORT",
     "The content ends before its coding does"},
};

static const struct own_error *find_own(int code)
{
    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++) {
        if (OWN[i].code == code) return &OWN[i];
    }
    return NULL;
}

const char *twl_error_message(int code)
{
    const struct own_error *own = find_own(code);
    const char *message = own ? own->message : twl__http1_error_message(code);
    if (!message) message = twl__ws_error_message(code);
#ifdef __GLIBC__
    if (!message) message = strerrordesc_np(-code);
#else
    if (!message) message = strerror(-code);
#endif
    return message ? message : "Unknown error";
}

const char *twl_error_name(int code)
{
    const struct own_error *own = find_own(code);
    const char *name = own ? own->name : twl__http1_error_name(code);
    if (!name) name = twl__ws_error_name(code);
#ifdef __GLIBC__
    if (!name) name = strerrorname_np(-code);
#endif
    return name ? name : "EUNKNOWN";
}
