import { common, keptSeconds } from "./common.ts";

/**
 * Logs and publishes messages; those to one room that follow each other are published together. Arguments: prefix, node,
 * deadline, history size, history age, epoch, dedup time, then for each message the dedup key or "", what to remember for it,
 * `M` or `T`, the namespace, the number of rooms, and for each room its name and the JSON of its copy, without the offset and
 * what follows it if it is logged.
 *
 * @returns for each message what was remembered, or the recipients and each room's offset
 */
export const publish = `${common}
local node, size, age, epoch, dedup_ms = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
if is_late(ARGV[3]) then return late end
if not has_lease(node) then return no_lease end
local run
local function end_run()
  if not run then return end
  if #run.messages > 0 then
    redis.call('HSET', run.key .. ':head', 'seq', run.seq)
    if now - run.kept > age / 10 then
      redis.call('HSET', run.key .. ':head', 'kept', now)
      redis.call('PEXPIRE', run.key .. ':head', ${keptSeconds} * 1000 + age * 2)
      if size > 0 then
        trim(run.key .. ':log', age)
        redis.call('PEXPIRE', run.key .. ':log', age * 2)
      end
    end
    redis.call('PUBLISH', run.key, 'M' .. table.concat(run.messages, '\\n'))
  end
  run = nil
end
local function begin_run(key)
  if run and run.key == key then return end
  end_run()
  run = { key = key, messages = {}, recipients = redis.call('HLEN', key .. ':members') }
  run.epoch, run.seq, run.kept = head_of(key, epoch)
end
local function append(json)
  run.seq = run.seq + 1
  local offset = run.epoch .. ':' .. run.seq
  json = json .. offset .. '"}'
  if size > 0 then redis.call('XADD', run.key .. ':log', 'MAXLEN', size, run.seq .. '-' .. now, 'm', json) end
  run.messages[#run.messages + 1] = offset .. '\\n' .. json
  return offset
end
local replies = {}
local at = 8
while at <= #ARGV do
  local id, remembered, kind, ns, rooms = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  at = at + 5
  local known = id ~= '' and redis.call('GET', prefix .. 'id:' .. id)
  if known then
    replies[#replies + 1] = known
  else
    local reply = { 0 }
    for room = 1, rooms do
      local key = room_key(ns, ARGV[at + room * 2 - 2])
      local json = ARGV[at + room * 2 - 1]
      begin_run(key)
      reply[1] = reply[1] + run.recipients
      if kind == 'M' then
        reply[room + 1] = append(json)
        remembered = remembered .. '\\n' .. reply[room + 1]
      else
        end_run()
        redis.call('PUBLISH', key, 'T' .. json)
      end
    end
    if id ~= '' then redis.call('SET', prefix .. 'id:' .. id, remembered, 'PX', dedup_ms) end
    replies[#replies + 1] = reply
  end
  at = at + rooms * 2
end
end_run()
return replies
`;

/** The receipt that is remembered for an id. Arguments: prefix, the key. */
export const remembered = `return redis.call('GET', ARGV[1] .. ':id:' .. ARGV[2])`;

/**
 * Sends a message to the nodes of a user's connections (`user`), or of one connection (`connection`). Arguments: prefix,
 * deadline, mode, namespace, user or connection, and what the nodes receive.
 *
 * @returns the number of connections
 */
export const tell = `${common}
if is_late(ARGV[2]) then return late end
local mode, ns, to = ARGV[3], ARGV[4], ARGV[5]
local nodes = {}
if mode == 'user' then
  nodes = redis.call('HVALS', prefix .. 'user:' .. ns .. '\\n' .. to)
else
  local found = redis.call('HGET', prefix .. 'connections:' .. ns, to)
  if found then nodes[1] = string.match(found, '^[^\\n]*') end
end
local reached = {}
for _, node in ipairs(nodes) do
  if not reached[node] then redis.call('PUBLISH', prefix .. 'node:' .. node, ARGV[6]) end
  reached[node] = true
end
return #nodes
`;
