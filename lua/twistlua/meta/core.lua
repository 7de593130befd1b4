---@meta
-- SPDX-License-Identifier: MIT
-- core.lua -- the types of what is written in C, for editors; never loaded.
-- All of it may be called only on the thread that runs the reactor. What is named `core` is for the Lua
-- modules of twistlua; programs use those.

-- ---- Delayed calls (Twisted: IDelayedCall) ----------------------------------------------

---What `reactor:callLater` returns.
---@class twistlua.DelayedCall
local DelayedCall = {}

---Take the call back. Raises AlreadyCalled or AlreadyCancelled.
function DelayedCall:cancel() end

---Have it due `seconds` from now. Raises AlreadyCalled or AlreadyCancelled.
---@param seconds number
function DelayedCall:reset(seconds) end

---Have it due `seconds` later than it was, earlier with a negative number.
---@param seconds number
function DelayedCall:delay(seconds) end

---@return number seconds when it is, or was, due, on the clock of `reactor:seconds()`
function DelayedCall:getTime() end

---@return boolean pending
function DelayedCall:active() end

-- ---- Transports (Twisted: ITCPTransport, IUNIXTransport) ------------------------------------

---A connection, as its protocol sees it. Nothing is called back inside these methods but a producer.
---@class twistlua.Transport
---@field connected boolean it may still send: open, or closing
---@field disconnecting boolean no more is received: loseConnection or abortConnection was called, or it is closed
---@field disconnected boolean the descriptor is closed
---@field protocol twistlua.Protocol|nil
---@field producer table|nil the registered producer
---@field TLS boolean it speaks TLS, or tries to
---@field negotiatedProtocol string|nil what was agreed on by ALPN, once the handshake is done
local Transport = {}

---Queue bytes. All that is written in one turn leaves together. Dropped after loseConnection (unless a producer
---is registered), loseWriteConnection, or the end.
---@param data string
function Transport:write(data) end

---@param pieces string[]
function Transport:writeSequence(pieces) end

---Queue a part of a file, which the kernel sends from its cache, without copying. It does not count towards the limit
---of output. A file that is made shorter, or rewritten, before it has left ends the connection with ConnectionLost
---(code "ECHANGED"). Closing the file takes effect when it is sent.
---@param file twistlua.OpenFile a regular one
---@param offset integer
---@param length integer bytes; all must be there
---@return boolean|nil queued false over TLS: read it and write it; nil where the file has less to give ("EINVAL")
---@return string|nil message
---@return string|nil name
---@return integer|nil errno
function Transport:writeFile(file, offset, length) end

---Something written while more than `bytes` wait to be sent calls the protocol's `outputLimitExceeded(pending)`, or
---without such a method aborts the connection with OutputLimitExceeded. A single write may be of any size.
---@param bytes number math.huge for no limit; before the first call it is the protocol's `outputLimit`, or 64 MiB
function Transport:setOutputLimit(bytes) end

---Read no more, send what is queued, close: connectionLost(ConnectionDone) follows.
function Transport:loseConnection() end

---Close at once with a reset: what is queued is lost, connectionLost(ConnectionAborted) follows in a later turn.
function Transport:abortConnection() end

---Send our end when the queue is empty and go on reading. The protocol hears writeConnectionLost.
function Transport:loseWriteConnection() end

---Read nothing, and notice no end, until resumeProducing.
function Transport:pauseProducing() end

function Transport:resumeProducing() end

---As a producer: loseConnection.
function Transport:stopProducing() end

---Let `producer` write as the connection takes it. A push producer is paused while more than 64 KiB wait and
---resumed when none do; a pull producer is asked each time that none do. Raises if there is one already.
---@param producer table with pauseProducing (push only), resumeProducing, stopProducing
---@param streaming boolean true for a push producer
function Transport:registerProducer(producer, streaming) end

---The producer is done; a loseConnection that waited for it goes on.
function Transport:unregisterProducer() end

---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress|nil ours; nil once closed
function Transport:getHost() end

---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress|nil the other side's
function Transport:getPeer() end

---@param on boolean
function Transport:setTcpNoDelay(on) end

---@return boolean
function Transport:getTcpNoDelay() end

---@param on boolean
function Transport:setTcpKeepAlive(on) end

---@return boolean
function Transport:getTcpKeepAlive() end

---@return integer fd -1 once closed; the transport keeps it
function Transport:getHandle() end

---@return integer bytes that were written and wait to be sent
function Transport:getPending() end

---Go on in TLS (Twisted: ITLSTransport). What was written before leaves as it is. With TLS already, the new session
---runs inside the old. The protocol's `handshakeCompleted`, if it has one, is called once; a handshake that fails is
---the reason of `connectionLost`, an SSLError. Then an end is a close_notify: without the other side's, the reason is
---ConnectionLost, and loseWriteConnection sends ours. loseConnection before the handshake is done, and with nothing
---written, is an abort.
---@param contextFactory twistlua.ssl.CertificateOptions or any object with getContext(), and for a client perhaps
---  hostname, the name that the certificate must have
---@param options? { isClient?: boolean, hostname?: string, handshakeTimeout?: number, received?: string } isClient is
---  the role in the handshake, default true for a connection that connectTCP or the like made; handshakeTimeout in
---  seconds, default 30, 0 for none; received is what dataReceived got and belongs to TLS
---Raises an SSLError for a context that is of no use, and when the connection is closing.
function Transport:startTLS(contextFactory, options) end

---The certificate that the other side showed, once the handshake is done, also in connectionLost (Twisted:
---ISSLTransport).
---@return twistlua.ssl.Certificate|nil
function Transport:getPeerCertificate() end

---@return string|nil version "TLSv1.3" or "TLSv1.2", once the handshake is done
function Transport:getTLSVersion() end

---@return string|nil cipher as OpenSSL calls it, such as "TLS_AES_256_GCM_SHA384"
function Transport:getTLSCipher() end

---@return boolean resumed an earlier session was taken up again, without certificates
function Transport:isTLSResumed() end

-- ---- core ---------------------------------------------------------------------------------

---@class twistlua.core
---@field version string
---@field timer { callLater: function, getDelayedCalls: function }
local core = {}

core.reactor = {}

---@param backend string|nil
---@param runQueue fun() called by a job that soon() asks for
---@return string|nil backend, string? message, string? name
function core.reactor.open(backend, runQueue) end

---@return boolean
function core.reactor.isOpen() end

---@return string[] best first
function core.reactor.backends() end

---@return true|nil, string? message, string? name, integer? errno
function core.reactor.run() end

---@param timeout? number seconds
---@return true|nil, string? message, string? name, integer? errno
function core.reactor.step(timeout) end

function core.reactor.crash() end

---@return number
function core.reactor.seconds() end

function core.reactor.soon() end

---@return string
function core.reactor.libevVersion() end

---Log what finalizers had to report.
function core.reactor.reportPending() end

core.timer = {}

---@return twistlua.DelayedCall
function core.timer.callLater(_, delay, f, ...) end

---@return twistlua.DelayedCall[]
function core.timer.getDelayedCalls() end

---@class twistlua.core.watch
local watch = {}

---@param read boolean
---@param write boolean
function watch:set(read, write) end

core.watch = {}

---@param fd integer
---@param f fun(watch: twistlua.core.watch, readable: boolean, writable: boolean) both false: the descriptor is another's now
---@return twistlua.core.watch
function core.watch.new(fd, f) end

---@class twistlua.core.signal
local signal = {}

---The default handling again.
function signal:drop() end

core.signal = {}

---@param name string "SIGINT", ...
---@param f fun()
---@return twistlua.core.signal|nil, string? message, string? name, integer? errno
function core.signal.take(name, f) end

---@param name string
---@return boolean
function core.signal.isDefault(name) end

core.transport = {}

---@param lost fun(transport, protocol, failure, message, name, errno)
---@param makeAddress fun(kind: string, host: string, port: integer|nil): table
---@param exceeded fun(transport, protocol, pending: integer)
function core.transport.open(lost, makeAddress, exceeded) end

---Give the connection to its protocol and begin to read.
function core.transport.attach(transport, protocol) end

---Close quietly: for a connection that no protocol wants.
function core.transport.refuse(transport) end

---Close as if the connection had broken.
function core.transport.lose(transport) end

---Close with `failure` as the reason; with `reset`, the other side sees a reset and no end.
---@param reset? boolean
function core.transport.fail(transport, failure, reset) end

---@return twistlua.Transport[]
function core.transport.live() end

---@param context twistlua.core.tls_context
---@param client boolean
---@param hostname string|nil
---@param timeout? number seconds for the handshake
---@param received? string
---@return true|nil, string? message, string? name, integer? errno
function core.transport.startTLS(transport, context, client, hostname, timeout, received) end

---@param startTLS fun(transport, contextFactory, options) what the method of that name calls
---@param makeCertificate fun(der: string): table
function core.transport.useTLS(startTLS, makeCertificate) end

---@param fd integer
---@return twistlua.Transport|nil, string? message, string? name, integer? errno
function core.transport.adopt(fd) end

---@class twistlua.core.listener
local listener = {}

function listener:close() end

---@return string|nil kind, string? host, integer? port
function listener:address() end

---@param paused boolean
function listener:pause(paused) end

---@return integer
function listener:fd() end

core.listener = {}

---@return twistlua.core.listener|nil, string? message, string? name, integer? errno
function core.listener.open(accepted, failed, options, kind, host, port) end

---@param path string
---@return boolean somebody holds PATH.lock
function core.listener.locked(path) end

---@class twistlua.core.attempt
local attempt = {}

function attempt:cancel() end

core.connector = {}

---@return twistlua.core.attempt
function core.connector.start(done, timeout, kind, host, port, bindKind, bindHost, bindPort) end

---Raise for a place that start would refuse.
function core.connector.check(...) end

---@class twistlua.core.lookup
local lookup = {}

function lookup:cancel() end

core.resolver = {}

---Look up the addresses of one family; `done` is called later, once: with literals, or with nil and why.
---@param done fun(literals: string[]|nil, message: string?, name: string?, errno: integer?)
---@param family "IPv4"|"IPv6"
---@param name string
---@param timeouts number[]|nil seconds of each try
---@return twistlua.core.lookup|nil, string? message, string? name, integer? errno
function core.resolver.start(done, family, name, timeouts) end

---@param options table see Reactor:configureResolver; servers is a string here
---@return true|nil, string? message, string? name, integer? errno
function core.resolver.configure(options) end

---The first address of a name in the hosts file.
---@param name string
---@param family "IPv4"|"IPv6"
---@return string|nil literal, string? message, string? name, integer? errno
function core.resolver.hosts(name, family) end

---@return twistlua.core.lookup[] those that are under way
function core.resolver.live() end

---@class twistlua.core.datagrams
local datagrams = {}

function datagrams:close() end

---@return true|nil, string? message, string? name, integer? errno
function datagrams:connect(kind, host, port) end

---@return string|nil kind, string? host, integer? port
function datagrams:address() end

---@return integer
function datagrams:fd() end

---@param name "broadcast"|"ttl"|"loopback"
---@param value integer
---@return true|nil, string? message, string? name, integer? errno
function datagrams:setOption(name, value) end

---@return integer|nil value, string? message, string? name, integer? errno
function datagrams:getOption(name) end

---@param joining boolean false: leave
---@param group table { kind, host, port }
---@param interface table|nil
---@return true|nil, string? message, string? name, integer? errno
function datagrams:join(joining, group, interface) end

---Set the outgoing interface, or without a place tell it as kind and host.
---@return true|string|nil, string? message, string? name, integer? errno
function datagrams:interface(place) end

core.datagram = {}

---@param makeAddress fun(kind: string, host: string, port: integer|nil): table
---@param refuse fun(port: table, message: string, name: string, errno: integer)
function core.datagram.open(makeAddress, refuse) end

---@param protocol table
---@param failed fun(message: string, name: string, errno: integer|nil)
---@param place table|nil { kind, host or path, port }
---@param peer table|nil
---@return twistlua.core.datagrams|nil, string? message, string? name, integer? errno
function core.datagram.bind(protocol, failed, options, place, peer) end

---@param port table with the socket in its field 1
function core.datagram.write(port, data, addr, portNumber) end

core.socket = {}

---@return userdata|nil, string? message, string? name, integer? errno
function core.socket.listen(backlog, kind, host, port) end

---@return userdata|nil, boolean|string pending
function core.socket.connect(kind, host, port) end

---@param readers userdata[]
---@param writers userdata[]
---@param timeout? number seconds; nil is for ever
---@return userdata[]|nil readable, userdata[]|string writable, string? name, integer? errno
function core.socket.select(readers, writers, timeout) end

---@class twistlua.core.socket
local socket = {}

function socket:accept() end
function socket:recv(size) end
function socket:send(bytes) end
function socket:outcome() end
function socket:localPlace() end
function socket:peerPlace() end
function socket:fileno() end
function socket:setBlocking(blocking) end
function socket:shutdown() end
function socket:close() end

core.tls = {}

---A TLS context, from options that twistlua.ssl made.
---@param options table
---@return twistlua.core.tls_context|nil, string? message, string? name, integer? errno
function core.tls.context(options) end

---TLS between strings. What fails is nil, message, name, errno; "EOF" is the other side's close_notify.
---@class twistlua.core.tls_session
local tls_session = {}

---Go on with the handshake; a client begins with it.
---@return boolean|nil done, string? message, string? name, integer? errno
function tls_session:handshake() end

---@param ciphertext string from the other side
---@return true|nil, string? message, string? name, integer? errno
function tls_session:feed(ciphertext) end

---@return string|nil plaintext, string? message, string? name, integer? errno "" needs more ciphertext
function tls_session:read() end

---Queue plaintext.
---@return true|nil, string? message, string? name, integer? errno
function tls_session:write(plaintext) end

---Encrypt what is queued, once the handshake is done.
---@return true|nil, string? message, string? name, integer? errno
function tls_session:flush() end

---@return string ciphertext all that is for the other side
function tls_session:take() end

---Say close_notify.
function tls_session:shutdown() end

function tls_session:close() end

---@return string|nil
function tls_session:version() end

---@return string|nil
function tls_session:cipher() end

---@return string|nil by ALPN
function tls_session:protocol() end

---@return boolean
function tls_session:resumed() end

---@return string|nil der
function tls_session:peerCertificate() end

---@param context twistlua.core.tls_context
---@param client boolean
---@param hostname string|nil
---@return twistlua.core.tls_session|nil, string? message, string? name, integer? errno
function core.tls.session(context, client, hostname) end

---@class twistlua.core.tls_context
local tls_context = {}

---Make all anew, for the connections to come.
---@param options table
---@return true|nil, string? message, string? name, integer? errno
function tls_context:reload(options) end

---@param f nil|fun(name: string): twistlua.core.tls_context|false|nil nil: this one; false: refuse the client
function tls_context:choose(f) end

---@return string keys 80 bytes each, the one that encrypts first
function tls_context:ticketKeys() end

---@param keys string one to four keys
function tls_context:setTicketKeys(keys) end

---Put a new random key first.
---@return true|nil, string? message, string? name, integer? errno
function tls_context:rotateTicketKeys() end

---Keys, certificates and requests for certificates. A list of names is kind, NUL, value, NUL, and so on. The forms
---are "pem", "der" and, for dumping, "text".
core.x509 = {}

---@class twistlua.core.key
local key = {}

---@param form? "pem"|"der"|"text"
---@param passphrase? string encrypts PEM
---@return string|nil, string? message
function key:dump(form, passphrase) end

---@return string der of the public part
function key:public() end

---@return string kind, integer bits
function key:kind() end

---@param kind "RSA"|"EC"|"ED25519"
---@param bits? integer of RSA
---@return twistlua.core.key|nil, string? message, string? name, integer? errno
function core.x509.generateKey(kind, bits) end

---@return twistlua.core.key|nil, string? message, string? name, integer? errno
function core.x509.loadKey(bytes, form, passphrase) end

---@class twistlua.core.certificate
local certificate = {}

function certificate:dump(form) end

---@return string list
function certificate:subject() end

---@return string list
function certificate:issuer() end

---@return string list of alternative names
function certificate:names() end

---@return string der of the public key
function certificate:public() end

---@return string digits hexadecimal
function certificate:serial() end

---@param method string such as "sha256"
---@return string|nil bytes, string? message
function certificate:digest(method) end

---@return number from, number until seconds since 1970
function certificate:validity() end

---@return twistlua.core.certificate|nil, string? message, string? name, integer? errno
function core.x509.loadCertificate(bytes, form) end

---@class twistlua.core.request
local request = {}

function request:dump(form) end

---@return string list
function request:subject() end

---@return string list of alternative names
function request:names() end

---@param subject string a list
---@param signer twistlua.core.key
---@param digest string
---@param names? string "DNS:example.org,IP:::1"
---@return twistlua.core.request|nil, string? message, string? name, integer? errno
function core.x509.newRequest(subject, signer, digest, names) end

---@return twistlua.core.request|nil, string? message, string? name, integer? errno
function core.x509.loadRequest(bytes, form) end

---Sign a certificate.
---@param fields table
---@return twistlua.core.certificate|nil, string? message, string? name, integer? errno
function core.x509.issue(fields) end

core.coding = {}

---A stream on its way through a content coding.
---@class twistlua.core.coder
local coder = {}

---@param bytes string
---@param flush? "none"|"sync"|"end" default "none": keep what compresses better with more. After "sync" the other
---  side can decode all that came; "end" ends the coding
---@return string|nil encoded "" while all is kept; nil, message, name, errno after a failure
function coder:encode(bytes, flush) end

---Decode from `bytes`, no more than fits; call again with the same bytes and what was returned, until that is false.
---@param bytes string
---@param from? integer default 1
---@param room? integer most bytes to return, default 65536
---@return string|nil decoded nil, message, name, errno after a failure: ECODING, ECODING_END (there is more behind
---  the end), ENOMEM
---@return integer|false from where to go on; false when all was taken and returned
function coder:decode(bytes, from, room) end

---@return boolean the coding is complete
function coder:finished() end

---Begin a new stream.
---@return true|nil
function coder:reset() end

---Give the memory back now. Twice does nothing.
function coder:close() end

---@param coding "gzip"|"deflate"|"raw"|"br"
---@param level? integer 1 to 9, default 6; of br 0 to 11, default 5
---@param windowBits? integer 9 to 15, default 15; of br 10 to 24, default 18
---@return twistlua.core.coder|nil coder nil, message, name, errno for a setting out of its range
function core.coding.encoder(coding, level, windowBits) end

---@param coding "gzip"|"deflate"|"raw"|"br" of deflate, both what RFC 9110 asks for and bare DEFLATE
---@param windowBits? integer 9 to 15, default 15
---@return twistlua.core.coder|nil coder nil, message, name, errno for a setting out of its range
function core.coding.decoder(coding, windowBits) end

---@class twistlua.core.notifier
local notifier = {}

function notifier:close() end

---@return integer -1 once closed
function notifier:fd() end

---@param path string
---@param mask integer
---@return integer|nil watch, string? message, string? name, integer? errno
function notifier:add(path, mask) end

---@param watch integer
function notifier:remove(watch) end

---@return table|nil events { watch, mask, name, watch, ... }
---@return string? message, string? name, integer? errno
function notifier:read() end

core.inotify = {}

---@return twistlua.core.notifier|nil, string? message, string? name, integer? errno
function core.inotify.open() end

---@param path string
---@return table<string, boolean>|nil directory by name
---@return string? message, string? name, integer? errno
function core.inotify.list(path) end

---@class twistlua.core.pipe
local pipe = {}

---Queue bytes; dropped where they cannot leave any more.
---@param data string
function pipe:write(data) end

---Write what is queued, then close.
function pipe:close() end

---Close at once.
function pipe:abort() end

---The same, as if it had broken.
function pipe:lose() end

function pipe:pause() end
function pipe:resume() end

---While held, `close` waits.
---@param held boolean
function pipe:hold(held) end

---Have `event` called each time that the queue is empty, also for now.
---@param wanted boolean
function pipe:notifyDrain(wanted) end

---@return integer bytes
function pipe:pending() end

---@return integer fd -1 once closed
function pipe:fileno() end

core.pipe = {}

---@param fd integer the pipe owns it
---@param direction "r"|"w"
---@param event fun(bytes: string|nil) bytes came; or the queue is empty
---@param closed fun(message: string, name: string, errno: integer|nil) name "EOF": a clean end
---@return twistlua.core.pipe|nil, string? message, string? name, integer? errno
function core.pipe.open(fd, direction, event, closed) end

---@param direction "r"|"w" of the first of the descriptors, which is ours
---@return integer|nil ours, integer|string theirs, string? name, integer? errno
function core.pipe.pair(direction) end

---@return integer|nil master, integer|string slave, string name, integer? errno
function core.pipe.terminal() end

---@return true|nil, string? message, string? name, integer? errno
function core.pipe.resize(fd, rows, columns) end

---@return integer|nil fd, string? message, string? name, integer? errno
function core.pipe.duplicate(fd) end

---Close a descriptor.
function core.pipe.discard(fd) end

---@return twistlua.core.pipe[]
function core.pipe.live() end

---@class twistlua.core.process
local process = {}

---@param signal integer|string "SIGTERM", ...
---@return true|nil, string? message, string? name, integer? errno
function process:signal(signal) end

---@return integer|nil nil when it has ended
function process:pid() end

core.process = {}

---@param ended fun(exitCode: integer|nil, signal: integer|nil, status: integer|nil)
---@param executable string
---@param arguments string[]
---@param environment string[]|nil "NAME=value"; nil inherits
---@param directory string|nil
---@param fds table<integer, integer> the child's number → ours
---@param uid integer|nil
---@param gid integer|nil
---@param terminal integer|nil descriptor of what becomes the controlling one
---@param search string|nil directories for a name without a slash, "a:b"
---@return twistlua.core.process|nil, string? message, string? name, integer? errno, string? step
function core.process.spawn(ended, executable, arguments, environment, directory, fds, uid, gid, terminal, search) end

---@return twistlua.core.process[]
function core.process.live() end

core.lockfile = {}

---@param path string
---@return boolean|nil taken, boolean|string clean
function core.lockfile.take(path) end

---@param path string
---@return true|nil, string? message, string? name, integer? errno
function core.lockfile.release(path) end

-- ---- Threads ---------------------------------------------------------------------------------

---Work that was given to a pool.
---@class twistlua.core.work
local work = {}

---Take it back; where it has begun, drop its result. The Deferred is the caller's to fire.
function work:cancel() end

---@class twistlua.core.pool
local pool = {}

---Have a thread call `f(...)` and fire `d`. Raises what cannot be copied.
---@param d twistlua.Deferred
---@param f function|string
---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function pool:submit(d, f, ...) end

---As above for a list of { f, arguments... }; the result is a list with `n`.
---@param d twistlua.Deferred
---@param calls table[]
---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function pool:submitMany(d, calls) end

---@param minimum integer
---@param maximum integer
---@return true|nil, string? message, string? name, integer? errno
function pool:resize(minimum, maximum) end

---@return integer threads, integer idle, integer queued, integer working
function pool:counts() end

---@return boolean
function pool:isOpen() end

---Wait for the work that has begun; fire all Deferreds.
function pool:stop() end

core.workers = {}

---@param minimum integer
---@param maximum integer
---@param idle? number seconds
---@param name? string
---@return twistlua.core.pool|nil, string? message, string? name, integer? errno
function core.workers.open(minimum, maximum, idle, name) end

---@return integer of jobs that somebody waits for
function core.workers.pending() end

---@class twistlua.core.question
local question = {}

---Let the thread that asked go on, once. A value that cannot be copied leaves it waiting.
---@param ok boolean
---@param value any the result, or the error
---@return true|nil, string? message
function question:answer(ok, value) end

---Have `f` called for what threads ask: with the question, or nil where nobody waits, what to call, and its
---arguments.
---@param f fun(question: twistlua.core.question|nil, callee: function|string, ...)
function core.workers.serve(f) end

---On a worker's thread: call back.
---@param wait boolean
---@param f function|string
---@return boolean? ok, any value nothing without waiting
function core.workers.ask(wait, f, ...) end

---@return boolean
function core.workers.isWorker() end

---@return boolean the pool of this thread is being closed
function core.workers.isStopping() end

-- ---- Channels -----------------------------------------------------------------------------------

---@class twistlua.core.channel
---@field methods twistlua.Channel the methods, to which lua/twistlua/channel.lua adds
core.channel = {}

---A queue between threads. It is passed by reference in what is copied to other states.
---@class twistlua.Channel
local Channel = {}

---Nothing is sent any more; sends that wait fail with ChannelClosed. What was sent can still be received. May be called
---again, from any state.
function Channel:close() end

---@return boolean
function Channel:isOpen() end

---@return integer of values that wait to be received
function Channel:count() end

---@return integer of values that it has room for
function Channel:capacity() end

---A send or a receive that must wait.
---@class twistlua.core.wait
local wait = {}

---Begin, once: fire `deferred` when the value was sent, or with the value that was received, or with ChannelClosed.
---@param deferred twistlua.Deferred
function wait:start(deferred) end

---Send or receive nothing.
function wait:cancel() end

---@param capacity integer
---@return twistlua.Channel|nil, string? message, string? name, integer? errno
function core.channel.new(capacity) end

---@param name string
---@return twistlua.Channel|nil # what twl_runtime_share() gave this runtime
function core.channel.shared(name) end

---@return twistlua.core.wait[] that were started
function core.channel.live() end

---@param channel twistlua.Channel
---@param value any
---@param patient boolean make a wait where it must wait, and let others go first when the turn had many
---@return boolean|nil sent nil: the next are message, name, errno
---@return twistlua.core.wait? wait
function core.channel.send(channel, value, patient) end

---@param channel twistlua.Channel
---@param patient boolean
---@return boolean|nil received nil: the next are message, name, errno
---@return any value or the wait
function core.channel.receive(channel, patient) end

---On a worker's thread.
---@param channel twistlua.Channel
---@param value any
---@param timeout? number seconds
---@return true|nil, string? message, string? name, integer? errno
function core.channel.blockingSend(channel, value, timeout) end

---On a worker's thread.
---@param channel twistlua.Channel
---@param timeout? number seconds
---@return true|nil, any value, or message, name, errno
function core.channel.blockingReceive(channel, timeout) end

core.random = {}

---@param length integer at most 1024
---@return string bytes that nobody can guess
function core.random.bytes(length) end

---@param length integer of bytes, at most 1024
---@return string # in hexadecimal
function core.random.hex(length) end

-- ---- HTTP/1 -------------------------------------------------------------------------------------

---@class twistlua.core.http1
---@field LAST_CHUNK string what ends a chunked body without trailers
core.http1 = {}

---@class twistlua.core.http1.limits
local limits = {}

---Bytes at most, and how many fields: start-line 8192, head 32768, trailers 8192, chunk extensions 4096 (beyond as many
---as there are of data), body math.huge, fields 200.
---@param given { line?: integer, head?: integer, trailers?: integer, extension?: integer, body?: number,
---  fields?: integer }
---@return twistlua.core.http1.limits # to be made once
function core.http1.limits(given) end

---The head of a message. Nothing of it becomes a Lua value before it is asked for.
---@class twistlua.core.http1.head
---@field method string of a request
---@field target string of a request
---@field form "origin"|"absolute"|"authority"|"asterisk" of the target
---@field authority string of a request: host and port, from the target or from Host; maybe ""
---@field minor integer HTTP/1.minor, as sent
---@field status integer of a response
---@field reason string of a response
---@field body integer|"chunked"|"rest" how long the body is: bytes; "rest": until the connection closes
---@field keepAlive boolean the connection goes on after this message
---@field upgrade boolean a request asks for another protocol, or a tunnel; a response begins it
---@field expectContinue boolean the client waits for 100 before it sends the body
---@field count integer of fields
local head = {}

---@param name string in any case
---@return string|nil value the last
function head:get(name) end

---@param name string in any case
---@return string[]|nil values in their order
function head:getAll(name) end

---@return string[] fields name, value, name, value, ... as sent; of trailers only those that may be there
function head:fields() end

---Parse the head of a request. Complete: the head and the place behind it. Incomplete: the head and nil; call again
---with these bytes and more behind them, `from` where they begin then, and the head.
---Malformed: nil, the sentence, its name and the status to answer with.
---@param bytes string
---@param from? integer where the message begins, default 1
---@param limits? twistlua.core.http1.limits
---@param head? twistlua.core.http1.head of the last call for this message
---@return twistlua.core.http1.head|nil head
---@return integer|string|nil next or the sentence
---@return string|nil name of the error
---@return integer|nil status
function core.http1.request(bytes, from, limits, head) end

---Likewise for a response: the head, the place behind it, and what it says of itself; the head and nil; or nil, the
---sentence and its name. An interim response (1xx) is a message of its own. After an upgrade nothing is kept alive.
---Of one that is kept alive, and whose body the bytes end with, that is the last value.
---@param bytes string
---@param from? integer
---@param method string of the request that is answered
---@param limits? twistlua.core.http1.limits
---@param head? twistlua.core.http1.head
---@return twistlua.core.http1.head|nil head
---@return integer|string|nil next or the sentence
---@return integer|string|nil status or the name of the error
---@return integer|string|nil body as in heads
---@return boolean|nil keepAlive
---@return string|nil whole
function core.http1.response(bytes, from, method, limits, head) end

---Decodes a body.
---@class twistlua.core.http1.body
local body = {}

---@param kind integer|"chunked"|"rest" `body` of the head
---@param limits? twistlua.core.http1.limits
---@return twistlua.core.http1.body
function core.http1.body(kind, limits) end

---Take bytes of the connection. Returns the data in them, maybe ""; and where in `bytes` the body has ended, if it has.
---Or nil, sentence, name and the status to answer with.
---@param bytes string
---@param from? integer where to begin, default 1
---@return string|nil data, integer|string|nil next, string|nil name, integer|nil status
function body:feed(bytes, from) end

---@return twistlua.core.http1.head|nil trailers once a chunked body that had some has ended
function body:trailers() end

---@return integer bytes of data so far
function body:received() end

---@param data string
---@return string chunk "" for no data, which would end the body
function core.http1.chunk(data) end

---@param size integer at least 1
---@return string what precedes the data of a chunk; CRLF follows that
function core.http1.chunkHead(size) end

---@return boolean it may be a method or a field name
function core.http1.isToken(value) end

---@return boolean it may be a field value
function core.http1.isValue(value) end

---@return boolean it may be a request target
function core.http1.isTarget(value) end

---@return boolean it may be the value of Host
function core.http1.isHost(value) end

-- A store of fields is a plain table: its array has the names in lower case, in their order; under each name stands
-- the value, or a list of values.

-- Steps of web/http/channel.lua, with fields of channels, factories and requests as they are told of there.

---What a server looks up once for a connection: limits, and the class of requests.
---@param factory twistlua.web.HTTPFactory
---@return twistlua.core.http1.service service the same until something of that has changed
function core.http1.service(factory) end

---Serve what is in the input of a channel, one request after the other, each of which becomes its `_request`: those of
---a site that are processed in the usual way are rendered, and answered. May yield, where a handler does; then it ends
---with that request, since others have gone on with the channel.
---
---All else is left to `special`, which returns whether to go on. It is told of
---  a request and its body, as in heads, or 0 where its body has begun to come before;
---  false and the head of a request that is not complete: its bytes stay in the input;
---  nil, the sentence, its name and the status to answer with.
---@param channel twistlua.web.HTTPChannel
---@param special fun(channel: twistlua.web.HTTPChannel, request: twistlua.web.HTTPRequest|false|nil, body: any,
---  name?: string, status?: integer): boolean
---@return boolean done nothing is left to serve
function core.http1.serve(channel, special) end

---The methods of channels that serve in a coroutine, so that handlers may await.
---@param special function as for `serve`
---@param served fun(channel: twistlua.web.HTTPChannel, outcome: true|false|twistlua.Deferred, failure?: twistlua.Failure)
---  `serve` has ended, but not with all served; as `core.deferred.attempt` tells
---@param receive fun(channel: twistlua.web.HTTPChannel, data: string) data has come while there is something to do
---@return fun(channel: twistlua.web.HTTPChannel, data?: string) dataReceived without data: what the transport has
---@return fun(channel: twistlua.web.HTTPChannel) serve
function core.http1.methods(special, served, receive) end

---@param channel twistlua.web.HTTPChannel
---@return boolean serving its requests are being served now, or `served` is being told
function core.http1.isServing(channel) end

---Write the whole response, if there is nothing special about it, and be done with the request if there is nothing
---special about the connection.
---@param channel twistlua.web.HTTPChannel
---@param request twistlua.web.HTTPRequest
---@param body any
---@return boolean|nil over nil: nothing was done; false: the response is written, but the request is still the channel's
function core.http1.respond(channel, request, body) end

---Resource:render; where there is no method for it, `resource:_unsupported(request)` is called.
---@param resource twistlua.web.Resource
---@param request twistlua.web.Request
---@return string|twistlua.Deferred|integer|nil body
function core.http1.render(resource, request) end

---Have `class` be one of requests. A request has what it keeps for itself, the members of its class, and what the
---functions in `later` make of it, which is then kept. Of metamethods the class may have `__tostring`.
---@param class table has `requestMembers`
---@param later table<string, fun(request: twistlua.web.HTTPRequest): any>
function core.http1.requestClass(class, later) end

---What each class of requests must have: `channel`, `method`, `uri`, `code`, `finished`; `_minor`, `_authority`,
---`_bodyLength`, `_expectContinue` as in heads; `_more`: the request has something that `serve` leaves out of account;
---`_store`: the response's fields, false for none.
---@type table<string, any>
core.http1.requestMembers = {}

---@param request twistlua.web.HTTPRequest
---@param name string in any case
---@return string|nil value the last
function core.http1.requestMembers.getHeader(request, name) end

---@param request twistlua.web.HTTPRequest
---@param name string in any case
---@return string[] values in their order
function core.http1.requestMembers.getHeaders(request, name) end

---Set a field of the response, as setField does.
---@param request twistlua.web.HTTPRequest
---@param name string
---@param value string|number
function core.http1.requestMembers.setHeader(request, name, value) end

---@param request twistlua.web.HTTPRequest
---@return string[] fields as in heads
function core.http1.requestMembers._fields(request) end

---@param request twistlua.web.HTTPRequest
---@param name string
---@return any member that it keeps for itself
function core.http1.requestMembers._own(request, name) end

---@param class table
---@param later table<string, fun(object: table): any>
---@return fun(object: table, name: string): any index for a metatable: a member of the class; or what the function in
---  `later` makes of the object, which is kept in it
function core.http1.lazily(class, later) end

---Set the one value. Control bytes in it become spaces; raises for a name that is no token.
---@param store table|false false: a new one
---@param name string
---@param value string|number
---@return table store
function core.http1.setField(store, name, value) end

---Likewise, behind the values that are there.
function core.http1.addField(store, name, value) end

---@param name string
---@return string name as it is spelt usually
function core.http1.canonical(name) end

---A message in one string.
---@param start string the start-line without its end
---@param lines string|nil whole lines that come first
---@param store table|false|nil
---@param length integer|true|nil for Content-Length; true: Transfer-Encoding: chunked
---@param connection "close"|"keep-alive"|nil
---@param body string|nil
---@return string
function core.http1.message(start, lines, store, length, connection, body) end

---The headers of a request as lines; nil where there is one to refuse, or to decide about since the framing or the
---connection depends on it; for a table with a metatable; and for more than 2 KB.
---@param headers table<string, string|number|(string|number)[]>
---@return string|nil
function core.http1.lines(headers) end

---@param path string what follows a ? in it does not count
---@return string[] segments decoded; without the empty one before a slash at the beginning
function core.http1.segments(path) end

---@param text string
---@return string text with each %XX decoded
function core.http1.decode(text) end

---@param list string comma-separated
---@param word string in lower case
---@return boolean
function core.http1.hasWord(list, word) end

---@param status integer
---@return string|nil phrase the standard one
function core.http1.reason(status) end

-- ---- WebSocket (RFC 6455) -------------------------------------------------------------------------

---@class twistlua.core.websocket
core.websocket = {}

---The frames of one connection, both ways: `frame` makes those that are sent, and `methods` reads those that come. A
---message may be of any number of frames; what is told is whole.
---@class twistlua.core.websocket.codec
local codec = {}

---@param server boolean which side it is
---@param message_max integer bytes of a message
---@param frames_max integer frames of a message
---@return twistlua.core.websocket.codec
function core.websocket.codec(server, message_max, frames_max) end

---A message or control frame as it is sent: one string, or two that follow each other. Raises where the payload must
---not be sent: text that is not UTF-8, a control frame of more than 125 bytes.
---@param opcode integer 1 text, 2 binary, 8 close, 9 ping, 10 pong
---@param payload string
---@return string bytes, string? more
function codec:frame(opcode, payload) end

---Compress from now on (RFC 7692). Once only.
---@param outBits integer 8 to 15: logarithm of the window
---@param outTakeover boolean keep the context from one message to the next
---@param inBits integer
---@param inTakeover boolean
---@param level integer 1 to 9
---@param threshold integer shorter messages are sent as they are
function codec:compress(outBits, outTakeover, inBits, inTakeover, level, threshold) end

---The methods of `methods`: sendMessage sends no more.
function codec:mute() end

---The methods of `methods`: what comes is kept, or looked at again from the next dataReceived on.
---@param paused boolean
function codec:pause(paused) end

---Free what it holds, at once and not only at its collection. The methods of `methods` do nothing any more.
function codec:close() end

---WebSocketProtocol's methods for messages. They find the codec in the object's field `_codec`. Transports in C know
---the first one, and give it what came without making a string.
---@param controlReceived fun(self: table, opcode: integer, payload: string, status: integer) of a control frame; the
---  status is 0 but for a close frame
---@param raised fun(self: table, failure: twistlua.Failure) that, or messageReceived, raised an error
---@param fail fun(self: table, status: integer, sentence: string) the other side broke the rules: `status` is for the
---  close frame that answers, and the codec is of no use for what is received
---@return fun(self: table, bytes: string) dataReceived
---@return fun(self: table, data: string, isBinary?: boolean) sendMessage
function core.websocket.methods(controlReceived, raised, fail) end

---@return string key a new Sec-WebSocket-Key
function core.websocket.key() end

---@param key string
---@return string|nil accept the Sec-WebSocket-Accept; nil where that is no key
function core.websocket.accept(key) end

---@param code any
---@return boolean a close frame may carry it
function core.websocket.isCloseCode(code) end

-- ---- Files, as work for a pool; each call takes it and the Deferred to fire -----------------------

core.file = {}

---@param f fun(verb: string, path: string, message: string, name: string, errno: integer): any makes the errors
function core.file.open(f) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.read(pool, d, path, maximum) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.write(pool, d, path, content, mode, append, atomic, new) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.stat(pool, d, path, follow) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.list(pool, d, path) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.rename(pool, d, from, to) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.remove(pool, d, path) end

---@return twistlua.core.work|nil, string? message, string? name, integer? errno
function core.file.makeDirectory(pool, d, path, mode, parents) end

-- ---- Hashes --------------------------------------------------------------------------------------

core.digest = {}

---@param method string a digest of OpenSSL's, such as "sha256"
---@param bytes string
---@return string hash raw bytes
function core.digest.hash(method, bytes) end

---HMAC (RFC 2104).
---@param method string
---@param key string
---@param bytes string
---@return string hash raw bytes
function core.digest.hmac(method, key, bytes) end

---Compare in a time that depends on the lengths alone.
---@param a string
---@param b string
---@return boolean same
function core.digest.equal(a, b) end

-- ---- Files that are held open, to be served -------------------------------------------------

---@class twistlua.OpenFile
local OpenFile = {}

---@return "file"|"directory"|"link"|"other"|nil type
---@return integer|string size bytes
---@return number|string modified seconds since 1970
---@return integer inode
function OpenFile:stat() end

---Read on this thread: for little.
---@param offset integer
---@param length integer bytes
---@return string|nil bytes fewer only at the end
---@return string|nil message
---@return string|nil name
---@return integer|nil errno
function OpenFile:read(offset, length) end

---Give the descriptor up, once no thread and no transport uses it.
function OpenFile:close() end

core.openfile = {}

---Open `path` below the directory `root`; "" is `root` itself, which may be a file.
---@param root string
---@param path string
---@param follow boolean whether symbolic links below `root` are followed
---@return twistlua.OpenFile|nil file
---@return "file"|"directory"|"other"|string type, or a message
---@return integer|string size bytes, or the name of the error
---@return number|integer modified seconds since 1970, or errno
function core.openfile.open(root, path, follow) end

---A file with these bytes that is nowhere but in memory, beside the string: the kernel sends it without copying. There
---may be 64 of them with 64 MiB together, and none in a sandbox or under limits.
---@param bytes string
---@return twistlua.OpenFile|nil file, message, name, errno
function core.openfile.memory(bytes) end

---Answer with all of a file, where nothing is special about the request, the file or the transport.
---@param file twistlua.OpenFile
---@param request twistlua.web.HTTPRequest
---@param transport twistlua.Transport
---@param common string the lines of every response
---@param lines string those of this one, but for Content-Length
---@param varies? boolean another coding may be there for who accepts it
---@return boolean done false: nothing was written
function core.openfile.respond(file, request, transport, common, lines, varies) end

---@return twistlua.OpenFile[] files those that threads or transports use
function core.openfile.live() end

---The Deferred gets bytes.
function core.openfile.readLater(file, pool, d, offset, length) end

---The Deferred gets a list of { name =, size =, type = "file"|"directory" }, in no order.
function core.openfile.list(file, pool, d, follow) end

core.failure = {}

---@return twistlua.Failure
function core.failure.new(value) end

---@return boolean
function core.failure.isFailure(value) end

---The captured frames, innermost first.
function core.failure.frames(failure) end

---The Failure that await raised again as this one.
function core.failure.origin(failure) end

---@return boolean ok, any ... results, or the Failure
function core.failure.call(f, ...) end

---Have Failures be made strings by `f`.
---@param f fun(failure: twistlua.Failure): string
function core.failure.setTostring(f) end

-- ---- Deferreds (Twisted: Deferred) -----------------------------------------------------------

---@class twistlua.Deferred
local Deferred = {}

---@param f fun(result: any, ...): any its arguments are the result and then the extra ones
---@return twistlua.Deferred self
function Deferred:addCallback(f, ...) end

---@param f fun(failure: twistlua.Failure, ...): any
---@return twistlua.Deferred self
function Deferred:addErrback(f, ...) end

---@param f fun(result: any, ...): any
---@return twistlua.Deferred self
function Deferred:addBoth(f, ...) end

---@param callback function|nil
---@param errback function|nil
---@param options? { callbackArgs?: table, errbackArgs?: table }
---@return twistlua.Deferred self
function Deferred:addCallbacks(callback, errback, options) end

---Fire `other` with this one's outcome.
---@param other twistlua.Deferred
---@return twistlua.Deferred self
function Deferred:chainDeferred(other) end

---Fire with a result. Raises AlreadyCalledError.
function Deferred:callback(result) end

---Fire with a Failure or an error value. Raises AlreadyCalledError.
function Deferred:errback(failure) end

function Deferred:pause() end
function Deferred:unpause() end

---Ask the canceller to stop it; without one, or if that does not fire it, it fails with CancelledError.
function Deferred:cancel() end

-- ---- The host, where a program of another's embeds us ---------------------------------------

core.host = {}

---Whether there is one.
---@return boolean
function core.host.embedded() end

---Whether a script may run the reactor now; true without a host.
---@return boolean
function core.host.mayRun() end

---Whether the host has closed the runtime from inside: the loop is to be left.
---@return boolean
function core.host.closing() end

---Whether the host is to do something yet that somebody waits for.
---@return boolean
function core.host.pending() end

---Tell the host that the reactor was stopped.
function core.host.stopped() end

---Tell the host of a failure that nobody handled.
---@param failure any
---@param what? string
---@return boolean told false where it does not want to know
function core.host.unhandled(failure, what) end

core.deferred = {}

function core.deferred.new(canceller) end
function core.deferred.succeed(value) end
function core.deferred.fail(value) end
function core.deferred.isDeferred(value) end
function core.deferred.setDebugging(on) end
function core.deferred.getDebugging() end
function core.deferred.traces(d) end
function core.deferred.await(d) end
function core.deferred.run(f, ...) end

---Call `f(...)`, which may await: true when it has returned; a Deferred of what it will return when it awaits something;
---false and a Failure when it has raised an error.
---@return true|false|twistlua.Deferred, twistlua.Failure?
function core.deferred.attempt(f, ...) end
function core.deferred.inlineCallbacks(f) end
function core.deferred.ensureDeferred(coroutine, ...) end
function core.deferred.returnValue(value) end
function core.deferred.replaceResume() end
function core.deferred.resume(coroutine, ...) end
function core.deferred.wrap(f) end
function core.deferred.close(coroutine) end

---`require "twistlua".memory()`: what the runtime uses of memory, in bytes. Where no host counts it, Lua's own part
---alone.
---@return integer used
---@return integer|nil peak the most it has been
---@return integer|nil limit the host's `memory_limit`
function core.memory() end

-- Lua's own, as a host's runtime has them: within its limits.
function core.pcall(f, ...) end
function core.xpcall(f, handler, ...) end
function core.setmetatable(table, metatable) end

return core
