"""The operations that must be atomic in Redis, as Lua. Each script touches one key, hence one slot of a cluster."""

from typing import Any

from webchat.backplane.redis_client import RedisCommand

CLAIM = """
-- KEYS: the name's record, a hash: token, account ("1" or "0"), and a field for each node that holds it
-- ARGV: node, account, token shown, token for a free name, milliseconds to live, whether it may be free, dead nodes...
local node, account, shown, fresh, life, may_be_free = unpack(ARGV, 1, 6)
if #ARGV > 6 then redis.call('HDEL', KEYS[1], unpack(ARGV, 7)) end
local token, of_account, holders = '', '0', {}
local record = redis.call('HGETALL', KEYS[1])
for i = 1, #record, 2 do
  if record[i] == 'token' then token = record[i + 1]
  elseif record[i] == 'account' then of_account = record[i + 1]
  else holders[#holders + 1] = record[i] end
end
if #holders == 0 then
  if may_be_free == '0' then return {'unknown'} end
  redis.call('DEL', KEYS[1])
  token = fresh
elseif account == '1' and of_account == '0' then
  redis.call('DEL', KEYS[1])
  token = fresh
elseif account ~= of_account or (account == '0' and token ~= shown) then
  return {'taken', unpack(holders)}
end
redis.call('HSET', KEYS[1], 'token', token, 'account', account, node, '')
redis.call('PEXPIRE', KEYS[1], life)
return {'held', token}
"""

RELEASE = """
-- KEYS: the name's record; ARGV: node
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('HLEN', KEYS[1]) <= 2 then redis.call('DEL', KEYS[1]) end
"""

REMEMBER = """
-- KEYS: a room's history, a sorted set of equal scores; Redis sorts the members by their first bytes, the message ids
-- ARGV: maximum length, seconds to live, messages...
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], 0, ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""


def call(script: str, key: str, *arguments: Any) -> RedisCommand:
    """The command that runs a script.

    It sends the whole text, which Redis caches by its hash, so that nothing has to be loaded after a restart of Redis.
    """
    return ("EVAL", script, 1, key, *arguments)
