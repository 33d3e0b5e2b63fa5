-- A script for MoonGen: memcached GETs over UDP at a given rate, for those who have a NIC that it drives.
--
--   MoonGen tests/load/moongen_memcached.lua TXPORT --rate 1000000 --keys 100000 --server 10.77.0.2
--
-- Load the keys first: build/wireload --preload=only --keys=N --key_size=16 with the same N. Keys are wireload's: 8
-- hexadecimal digits of the item's number, then 8 of its hash. It asks for items in turn, one request a datagram, and
-- counts packets in both directions; it does not look into replies. wireload does.
--
-- LuaJIT has no 64-bit integers without ffi and Lua 5.4 has no bit library: numbers here are pairs of 32 bits, high and
-- low, in plain arithmetic, which both compute alike.

local TWO16, TWO32 = 65536, 4294967296
local FRAME_BYTES, HEADERS_BYTES = 8, 42 -- memcached's frame; Ethernet, IPv4, UDP
local PORT, SOURCE_PORT, SOURCE_PORTS = 11211, 20000, 64

local M = {}

-- ---- 64 bits in two halves -------------------------------------------------

local function xor32(a, b)
	local result, bit = 0, 1
	while a > 0 or b > 0 do
		if a % 2 ~= b % 2 then
			result = result + bit
		end
		a, b, bit = math.floor(a / 2), math.floor(b / 2), bit * 2
	end
	return result
end

-- The lower 64 bits of a product. No intermediate number exceeds 2^53, which a double holds exactly.
local function multiply(ah, al, bh, bl)
	local a = { al % TWO16, math.floor(al / TWO16), ah % TWO16, math.floor(ah / TWO16) }
	local b = { bl % TWO16, math.floor(bl / TWO16), bh % TWO16, math.floor(bh / TWO16) }
	local digits, carry = {}, 0
	for i = 1, 4 do
		local sum = carry
		for j = 1, i do
			sum = sum + a[j] * b[i + 1 - j]
		end
		digits[i] = sum % TWO16
		carry = math.floor(sum / TWO16)
	end
	return digits[4] * TWO16 + digits[3], digits[2] * TWO16 + digits[1]
end

local function xor_shifted(h, l, bits)
	local divisor, rest = 2 ^ bits, 2 ^ (32 - bits)
	local shifted_l = math.floor(l / divisor) + (h % divisor) * rest
	return xor32(h, math.floor(h / divisor)), xor32(l, shifted_l)
end

-- The upper half of the item's hash, as tests/load/items.h has it.
local function item_hash_high(number)
	local l = 0xd9b4e019 + number
	local h = (0x632be59b + math.floor(l / TWO32)) % TWO32
	l = l % TWO32
	h, l = xor_shifted(h, l, 30)
	h, l = multiply(h, l, 0xbf58476d, 0x1ce4e5b9)
	h, l = xor_shifted(h, l, 27)
	h, l = multiply(h, l, 0x94d049bb, 0x133111eb)
	h = xor_shifted(h, l, 31)
	return h
end

-- 8 hexadecimal digits, whatever kind of number Lua made of it.
local function hex8(number)
	return string.format("%04x%04x", math.floor(number / TWO16), number % TWO16)
end

-- ---- requests --------------------------------------------------------------

function M.key(number)
	return hex8(number) .. hex8(item_hash_high(number))
end

-- A datagram's payload: request id, sequence 0 of 1, reserved; then the command.
function M.request(number, id)
	id = id % TWO16
	local frame = string.char(math.floor(id / 256), id % 256, 0, 0, 0, 1, 0, 0)
	return frame .. "get " .. M.key(number) .. "\r\n"
end

M.request_bytes = FRAME_BYTES + #"get \r\n" + 16

-- Writes the bytes of a request behind the headers of a packet: bytes[0] is the first of the Ethernet header.
function M.put(bytes, request)
	for i = 1, #request do
		bytes[HEADERS_BYTES + i - 1] = string.byte(request, i)
	end
end

-- All requests, made before the first is sent: the loop only copies.
function M.requests(keys)
	local requests = {}
	for number = 0, keys - 1 do
		requests[number + 1] = M.request(number, number)
	end
	return requests
end

-- ---- MoonGen ---------------------------------------------------------------

function configure(parser)
	parser:description("memcached GETs over UDP, open loop")
	parser:argument("dev", "port to send from and receive at"):convert(tonumber)
	parser:option("-r --rate", "requests a second"):default(100000):convert(tonumber)
	parser:option("-k --keys", "items, as many as wireload preloaded"):default(10000):convert(tonumber)
	parser:option("-s --server", "address of the appliance"):default("10.77.0.2")
	parser:option("-a --address", "address of this port"):default("10.77.0.1")
	return parser:parse()
end

function master(args)
	local mg, device, arp = require "moongen", require "device", require "proto.arp"
	local frame_bytes = HEADERS_BYTES + M.request_bytes
	local dev = device.config { port = args.dev, txQueues = 2, rxQueues = 2 }
	device.waitForLinks()
	-- The rate of a queue is in Mbit/s of frames with their checksum.
	dev:getTxQueue(0):setRate(args.rate * (frame_bytes + 4) * 8 / 1e6)
	arp.startArpTask { { rxQueue = dev:getRxQueue(1), txQueue = dev:getTxQueue(1), ips = args.address } }
	mg.startTask("sender", dev:getTxQueue(0), dev, args)
	mg.waitForTasks()
end

function sender(queue, dev, args)
	local mg, memory, stats, arp = require "moongen", require "memory", require "stats", require "proto.arp"
	local requests, frame_bytes = M.requests(args.keys), HEADERS_BYTES + M.request_bytes
	local mac = arp.blockingLookup(args.server, 5)
	if not mac then
		error("no answer to ARP requests for " .. args.server)
	end
	local pool = memory.createMemPool(function(buf)
		buf:getUdpPacket():fill { ethSrc = queue, ethDst = mac, ip4Src = args.address, ip4Dst = args.server,
			udpSrc = SOURCE_PORT, udpDst = PORT, pktLength = frame_bytes }
	end)
	local bufs, sent = pool:bufArray(), stats:newDevTxCounter(dev, "plain")
	local received, at = stats:newDevRxCounter(dev, "plain"), 0
	while mg.running() do
		bufs:alloc(frame_bytes)
		for _, buf in ipairs(bufs) do
			M.put(buf:getBytes(), requests[at % args.keys + 1])
			buf:getUdpPacket().udp:setSrcPort(SOURCE_PORT + at % SOURCE_PORTS)
			at = at + 1
		end
		bufs:offloadUdpChecksums()
		queue:send(bufs)
		sent:update()
		received:update()
	end
	sent:finalize()
	received:finalize()
end

return M
