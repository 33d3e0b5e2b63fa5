#!/usr/bin/ruby
# dalli (binary, with and without SASL) through the checks of scenario.py.
#
# usage: driver.rb LIBRARY PROTOCOL HOST PORT PREFIX [USER PASSWORD]
require "dalli"

$stdout.sync = true
Dalli.logger.level = Logger::ERROR
_library, _protocol, host, port, PREFIX, user, password = ARGV
OPTIONS = { raw: true, compress: false, socket_timeout: 30, username: user, password: password }.compact
CLIENT, OTHER = Array.new(2) { Dalli::Client.new("#{host}:#{port}", OPTIONS) }
RAW = { raw: true }.freeze
BLOB = ((0..255).to_a * 4).pack("C*")
LARGE = (1..250).to_a.pack("C*") * 2000

def key(name)
  PREFIX + name
end

def want(seen, expected)
  raise "#{seen.inspect[0, 100]} instead of #{expected.inspect[0, 100]}" unless seen == expected
end

def yes(answer)
  raise "refused: #{answer.inspect}" unless answer
end

def no(answer)
  raise "accepted: #{answer.inspect}" if answer
end

def set(name, value, expire = nil)
  CLIENT.set(key(name), value, expire, RAW)
end

def get(name)
  CLIENT.get(key(name))&.b
end

def check(name)
  yield
  puts "pass #{name}"
rescue StandardError => e
  puts "fail #{name} #{e.class}: #{e.message}".tr("\n", " ")
end

check("set_then_get") { yes set("blob", BLOB); want get("blob"), BLOB }
check("get_absent") { want get("absent"), nil }
check("add_absent") { yes CLIENT.add(key("add"), "one", nil, RAW); want get("add"), "one" }
check("add_present") { no CLIENT.add(key("add"), "two", nil, RAW); want get("add"), "one" }
check("replace_present") { yes CLIENT.replace(key("add"), "three", nil, RAW); want get("add"), "three" }
check("replace_absent") { want CLIENT.replace(key("absent"), "no", nil, RAW), 0; want get("absent"), nil }
check("append") { set("ends", "mid"); yes CLIENT.append(key("ends"), ">"); want get("ends"), "mid>" }
check("prepend") { yes CLIENT.prepend(key("ends"), "<"); want get("ends"), "<mid>" }
check("append_absent") { no CLIENT.append(key("absent"), ">") }
check("cas_fresh") do
  set("cas", "one")
  value, token = CLIENT.get_cas(key("cas"))
  want value, "one"
  yes CLIENT.set_cas(key("cas"), "two", token, nil, RAW)
  want get("cas"), "two"
end
check("cas_stale") do
  _, token = CLIENT.get_cas(key("cas"))
  OTHER.set(key("cas"), "between", nil, RAW)
  no CLIENT.set_cas(key("cas"), "late", token, nil, RAW)
  want get("cas"), "between"
end
check("incr") { set("count", "10"); want CLIENT.incr(key("count"), 5), 15 }
check("decr") { want CLIENT.decr(key("count"), 6), 9 }
check("decr_below_zero") { want CLIENT.decr(key("count"), 100), 0 }
check("incr_absent") { want CLIENT.incr(key("absent"), 1), nil }
check("touch_present") { set("touched", "x", 2); yes CLIENT.touch(key("touched"), 100) }
check("touch_absent") { no CLIENT.touch(key("absent"), 100) }
check("multiget_100") do
  values = (0..99).to_h { |i| [key("many#{i}"), i.to_s * (i + 1)] }
  values.each { |name, value| yes CLIENT.set(name, value, nil, RAW) }
  want CLIENT.get_multi(key("absent"), *values.keys), values
end
check("delete_present") { set("gone", "x"); yes CLIENT.delete(key("gone")); want get("gone"), nil }
check("delete_absent") { no CLIENT.delete(key("absent")) }
check("expiry") do
  yes set("short", "x", 2)
  last = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 15
  while get("short")
    raise "still there" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > last

    sleep 0.05
  end
  want get("touched"), "x"
end
check("large_value") { yes set("large", LARGE); want get("large"), LARGE }
check("stats") do
  figures = CLIENT.stats.values.first
  want figures["curr_items"].to_i.positive? && figures["cmd_get"].to_i.positive?, true
end
check("flush") do
  yes CLIENT.flush_all.all?
  want get("blob"), nil
  yes set("blob", "after")
  want get("blob"), "after"
end
