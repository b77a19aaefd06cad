import { common, keptChanges } from "./common.ts";

/**
 * Reads messages after a position (`after`), or the last ones (`last`). Arguments: prefix, namespace, room, mode, epoch to
 * create, the position's epoch, its number or the number of messages, the most bytes, history age, and, for a node that
 * lost its connection, the number of the last change that it knows or "".
 *
 * If that node knows messages that the log does not, Redis has lost data: the log starts again.
 *
 * @returns epoch, number of the last message, whether nothing is missing, number of the last message that was read, the
 * messages, and for a node that lost its connection the number of members, the number of the last change, and the changes
 */
export const read = `${common}
local ns, room, mode, from_epoch, from, most, age, known = ARGV[2], ARGV[3], ARGV[4], ARGV[6], tonumber(ARGV[7]),
  tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local key = room_key(ns, room)
local log = key .. ':log'
local epoch, seq = head_of(key, ARGV[5])
if known ~= '' and epoch == from_epoch and seq < from then
  epoch, seq = ARGV[5] .. 'n', 0
  redis.call('HSET', key .. ':head', 'epoch', epoch, 'seq', 0)
  redis.call('DEL', log)
end
local first = trim(log, age)
local oldest = first and first - 1 or seq
local is_complete = mode == 'last' or (epoch == from_epoch and from >= oldest and from <= seq)
local after = oldest
if mode == 'last' then after = seq - math.min(from, seq - oldest) elseif is_complete then after = from end
local entries, bytes = {}, 0
while after < seq and (#entries == 0 or bytes < most) do
  local page = redis.call('XRANGE', log, (after + 1) .. '-0', '+', 'COUNT', 32)
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if #entries > 0 and bytes >= most then break end
    entries[#entries + 1] = entry[2][2]
    bytes = bytes + #entry[2][2]
    after = seq_of(entry[1])
  end
end
local reply = { epoch, seq, is_complete and 1 or 0, after, entries }
if known ~= '' then
  reply[6] = redis.call('HLEN', key .. ':members')
  reply[7] = tonumber(redis.call('HGET', key .. ':head', 'change') or 0)
  reply[8] = {}
  if reply[7] > tonumber(known) then
    reply[8] = redis.call('LRANGE', key .. ':changes', math.max(tonumber(known) - reply[7], -${keptChanges}), -1)
  end
end
return reply
`;

/**
 * Reads messages backwards. Arguments: prefix, namespace, room, epoch to create, the epoch and number of the position to
 * start at or "", limit, most bytes, history age.
 *
 * @returns epoch, number of the last message, whether there are older messages, and the messages, newest first
 */
export const history = `${common}
local from_epoch, limit, most = ARGV[5], tonumber(ARGV[7]), tonumber(ARGV[8])
local key = room_key(ARGV[2], ARGV[3])
local log = key .. ':log'
local epoch, seq = head_of(key, ARGV[4])
local entries, bytes, is_more = {}, 0, 0
if from_epoch ~= '' and from_epoch ~= epoch then return { epoch, seq, 0, entries } end
trim(log, tonumber(ARGV[9]))
local before = seq + 1
if from_epoch ~= '' then before = math.min(before, tonumber(ARGV[6])) end
while is_more == 0 and before > 0 do
  local page = redis.call('XREVRANGE', log, '(' .. before .. '-0', '-', 'COUNT', 64)
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if #entries >= limit or (#entries > 0 and bytes >= most) then
      is_more = 1
      break
    end
    entries[#entries + 1] = entry[2][2]
    bytes = bytes + #entry[2][2]
    before = seq_of(entry[1])
  end
end
return { epoch, seq, is_more, entries }
`;
