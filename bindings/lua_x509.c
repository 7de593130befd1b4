/* SPDX-License-Identifier: MIT
 * lua_x509.c -- core.x509: keys, certificates, and requests for certificates.
 * Names are lists as x509.h has them; the Lua modules take them apart. */
#include <string.h>

#include "context.h"
#include "x509.h"

struct box {
    void *object; /* NULL until there is one */
};

static const char *const FORMS[] = {"pem", "der", "text", NULL};

static enum twl__x509_form check_form(lua_State *L, int index)
{
    return (enum twl__x509_form)luaL_checkoption(L, index, "pem", FORMS);
}

/* nil, [sentence] or else what the code says, the name and the errno. */
static int push_sentence(lua_State *L, int code, const char *sentence)
{
    int count = twl__push_error(L, code);

    if (sentence) {
        lua_pushstring(L, sentence);
        lua_replace(L, -count);
    }
    return count;
}

/* The same with what OpenSSL says, if it was the one to fail. */
static int push_trouble(lua_State *L, int code)
{
    return push_sentence(L, code,
                         code == TWL_EINVAL ? twl__x509_trouble() : NULL);
}

/* ---- Text ------------------------------------------------------------------------------ */

struct request_for_text {
    void *object;
    enum twl__x509_form form;
    const char *word; /* a passphrase, or a method of digesting */
};

typedef long (*writer)(const struct request_for_text *request, char *out,
                       size_t size);

static int push_text(lua_State *L, writer write,
                     const struct request_for_text *request)
{
    long length = write(request, NULL, 0);
    luaL_Buffer buffer;
    char *place;

    if (length < 0) return push_trouble(L, (int)length);
    place = luaL_buffinitsize(L, &buffer, (size_t)length);
    write(request, place, (size_t)length);
    luaL_pushresultsize(&buffer, (size_t)length);
    return 1;
}

#define WRITER(name, call)                                                     \
    static long write_##name(const struct request_for_text *request,           \
                             char *out, size_t size)                           \
    {                                                                          \
        return call;                                                           \
    }

WRITER(key,
       twl__key_dump(request->object, request->form, request->word, out, size))
WRITER(key_public, twl__key_public(request->object, out, size))
WRITER(certificate,
       twl__certificate_dump(request->object, request->form, out, size))
WRITER(subject, twl__certificate_name(request->object, false, out, size))
WRITER(issuer, twl__certificate_name(request->object, true, out, size))
WRITER(names, twl__certificate_names(request->object, out, size))
WRITER(public, twl__certificate_public(request->object, out, size))
WRITER(serial, twl__certificate_serial(request->object, out, size))
WRITER(digest,
       twl__certificate_digest(request->object, request->word, out, size))
WRITER(request, twl__request_dump(request->object, request->form, out, size))
WRITER(request_subject, twl__request_name(request->object, out, size))
WRITER(request_names, twl__request_names(request->object, out, size))

#undef WRITER

static int push_about(lua_State *L, writer write)
{
    struct box *box = twl__object_check(L, 1);
    struct request_for_text request = {box->object, TWL__PEM, NULL};

    return push_text(L, write, &request);
}

static int push_dump(lua_State *L, writer write)
{
    struct box *box = twl__object_check(L, 1);
    struct request_for_text request = {box->object, check_form(L, 2),
                                       luaL_optstring(L, 3, NULL)};

    return push_text(L, write, &request);
}

/* ---- Keys ------------------------------------------------------------------------------ */

static struct box *new_box(lua_State *L, struct twl__class *class)
{
    struct box *box = twl__object_new(L, class, sizeof *box, 0);

    box->object = NULL;
    return box;
}

/* generateKey(kind, bits): a key; or nil, message, name, errno */
static int generate_key(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    const char *kind = luaL_checkstring(L, 1);
    int bits = (int)luaL_optinteger(L, 2, 0), rc;
    struct evp_pkey_st *key = NULL;
    struct box *box = new_box(L, &context->keys);

    rc = twl__key_generate(kind, bits, &key);
    if (rc < 0) return twl__push_error(L, rc);
    box->object = key;
    return 1;
}

/* loadKey(bytes, form, passphrase): a key; or nil, message, name, errno */
static int load_key(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    enum twl__x509_form form = check_form(L, 2);
    const char *passphrase = luaL_optstring(L, 3, NULL);
    struct evp_pkey_st *key = NULL;
    struct box *box = new_box(L, &context->keys);
    const char *trouble = NULL;
    int rc = twl__key_load(form, bytes, length, passphrase, &key, &trouble);

    if (rc < 0) return push_sentence(L, rc, trouble);
    box->object = key;
    return 1;
}

static int key_dump(lua_State *L)
{
    return push_dump(L, write_key);
}

static int key_public(lua_State *L)
{
    return push_about(L, write_key_public);
}

/* key:kind(): "RSA", bits */
static int key_kind(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);

    lua_pushstring(L, twl__key_kind(box->object));
    lua_pushinteger(L, twl__key_bits(box->object));
    return 2;
}

static int key_gc(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);

    twl__key_free(box->object);
    box->object = NULL;
    return 0;
}

/* ---- Certificates ---------------------------------------------------------------------- */

/* loadCertificate(bytes, form): a certificate; or nil, message, name, errno */
static int load_certificate(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    enum twl__x509_form form = check_form(L, 2);
    struct x509_st *certificate = NULL;
    struct box *box = new_box(L, &context->certificates);
    int rc = twl__certificate_load(form, bytes, length, &certificate);

    if (rc < 0) return push_trouble(L, rc);
    box->object = certificate;
    return 1;
}

static int certificate_dump(lua_State *L)
{
    return push_dump(L, write_certificate);
}

static int certificate_subject(lua_State *L)
{
    return push_about(L, write_subject);
}

static int certificate_issuer(lua_State *L)
{
    return push_about(L, write_issuer);
}

static int certificate_names(lua_State *L)
{
    return push_about(L, write_names);
}

static int certificate_public(lua_State *L)
{
    return push_about(L, write_public);
}

static int certificate_serial(lua_State *L)
{
    return push_about(L, write_serial);
}

/* certificate:digest(method): its bytes */
static int certificate_digest(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    struct request_for_text request = {box->object, TWL__PEM,
                                       luaL_checkstring(L, 2)};

    return push_text(L, write_digest, &request);
}

static int certificate_validity(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    double from, until;

    twl__certificate_validity(box->object, &from, &until);
    lua_pushnumber(L, from);
    lua_pushnumber(L, until);
    return 2;
}

static int certificate_gc(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);

    twl__certificate_free(box->object);
    box->object = NULL;
    return 0;
}

/* ---- Requests -------------------------------------------------------------------------- */

/* The object at [index], of another class than the running method's. */
static void *check_other(lua_State *L, int index, struct twl__class *class)
{
    return ((struct box *)twl__object_of(L, class, index))->object;
}

/* newRequest(subject, key, digest, names): a request; or nil, message, name, errno */
static int new_request(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    struct twl__list subject;
    void *key = check_other(L, 2, &context->keys);
    const char *digest = luaL_checkstring(L, 3);
    const char *names = luaL_optstring(L, 4, NULL);
    struct X509_req_st *request = NULL;
    struct box *box;
    int rc;

    subject.bytes = luaL_checklstring(L, 1, &subject.length);
    box = new_box(L, &context->requests);
    rc = twl__request_new(subject, names, key, digest, &request);
    if (rc < 0) return push_trouble(L, rc);
    box->object = request;
    return 1;
}

/* loadRequest(bytes, form): a request; or nil, message, name, errno */
static int load_request(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    enum twl__x509_form form = check_form(L, 2);
    struct X509_req_st *request = NULL;
    struct box *box = new_box(L, &context->requests);
    int rc = twl__request_load(form, bytes, length, &request);

    if (rc < 0) return push_trouble(L, rc);
    box->object = request;
    return 1;
}

static int request_dump(lua_State *L)
{
    return push_dump(L, write_request);
}

static int request_subject(lua_State *L)
{
    return push_about(L, write_request_subject);
}

static int request_names(lua_State *L)
{
    return push_about(L, write_request_names);
}

static int request_gc(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);

    twl__request_free(box->object);
    box->object = NULL;
    return 0;
}

/* ---- Signing --------------------------------------------------------------------------- */

static const char *get_string(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = luaL_optstring(L, -1, NULL);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

static struct twl__list get_list(lua_State *L, const char *name)
{
    struct twl__list list;

    lua_getfield(L, 1, name);
    list.bytes = luaL_optlstring(L, -1, "", &list.length);
    lua_pop(L, 1);
    return list;
}

static double get_number(lua_State *L, const char *name)
{
    double number;

    lua_getfield(L, 1, name);
    number = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return number;
}

static void get_issue(lua_State *L, twl_context *context,
                      struct twl__issue *issue)
{
    memset(issue, 0, sizeof *issue);
    lua_getfield(L, 1, "key");
    issue->key = check_other(L, lua_gettop(L), &context->keys);
    if (lua_getfield(L, 1, "request") != LUA_TNIL)
        issue->request = check_other(L, lua_gettop(L), &context->requests);
    if (lua_getfield(L, 1, "issuedBy") != LUA_TNIL)
        issue->issued_by =
            check_other(L, lua_gettop(L), &context->certificates);
    lua_getfield(L, 1, "serial");
    issue->serial = luaL_optinteger(L, -1, 0);
    lua_getfield(L, 1, "authority");
    issue->authority = lua_toboolean(L, -1);
    issue->subject = get_list(L, "subject");
    issue->issuer = get_list(L, "issuer");
    issue->digest = get_string(L, "digest");
    issue->names = get_string(L, "names");
    issue->usage = get_string(L, "usage");
    issue->from = get_number(L, "from");
    issue->until = get_number(L, "until");
}

/* issue(fields): a certificate; or nil, message, name, errno */
static int issue_certificate(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    struct x509_st *certificate = NULL;
    struct twl__issue issue;
    struct box *box;
    int rc;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    get_issue(L, context, &issue);
    luaL_argcheck(L, issue.digest, 1, "digest is missing");
    box = new_box(L, &context->certificates);
    rc = twl__certificate_issue(&issue, &certificate);
    if (rc < 0) return push_trouble(L, rc);
    box->object = certificate;
    return 1;
}

/* ---- Opening --------------------------------------------------------------------------- */

static void open_classes(lua_State *L, twl_context *context)
{
    static const luaL_Reg key[] = {{"dump", key_dump},
                                   {"public", key_public},
                                   {"kind", key_kind},
                                   {NULL, NULL}};
    static const luaL_Reg key_meta[] = {{"__gc", key_gc}, {NULL, NULL}};
    static const luaL_Reg certificate[] = {{"dump", certificate_dump},
                                           {"subject", certificate_subject},
                                           {"issuer", certificate_issuer},
                                           {"names", certificate_names},
                                           {"public", certificate_public},
                                           {"serial", certificate_serial},
                                           {"digest", certificate_digest},
                                           {"validity", certificate_validity},
                                           {NULL, NULL}};
    static const luaL_Reg certificate_meta[] = {{"__gc", certificate_gc},
                                                {NULL, NULL}};
    static const luaL_Reg request[] = {{"dump", request_dump},
                                       {"subject", request_subject},
                                       {"names", request_names},
                                       {NULL, NULL}};
    static const luaL_Reg request_meta[] = {{"__gc", request_gc}, {NULL, NULL}};

    twl__class_new(L, context, &context->keys, "twistlua.key", key, key_meta);
    twl__class_new(L, context, &context->certificates, "twistlua.certificate",
                   certificate, certificate_meta);
    twl__class_new(L, context, &context->requests, "twistlua.request", request,
                   request_meta);
}

void twl__open_x509(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"generateKey", generate_key},
                                         {"loadKey", load_key},
                                         {"loadCertificate", load_certificate},
                                         {"newRequest", new_request},
                                         {"loadRequest", load_request},
                                         {"issue", issue_certificate},
                                         {NULL, NULL}};

    open_classes(L, context);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "x509");
}
