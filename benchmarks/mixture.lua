-- What people do, for wrk: PEOPLE has a line each, a cookie and a form token.
-- Of twenty requests of each person ten are for the list, five for an entry, two
-- for the form and two for a search; one writes an entry.
local people, turn, written = {}, 0, 0
for cookie, token in os.getenv("PEOPLE"):gmatch("([^\t]+)\t(%S+)\n") do
  table.insert(people, { cookie = cookie, token = token })
end
local steps = {
  "/entries", "/entries/note-07", "/entries", "/entries?q=door", "/entries",
  "/entries", "/entries/note-13", "/entries", "/entries/new", "write", "/entries/note-11",
  "/entries", "/entries/note-02", "/entries", "/entries?q=db.example", "/entries",
  "/entries", "/entries/note-19", "/entries", "/entries/new",
}
local first = os.time() * 1000

function request()
  local who = turn % #people
  local person = people[who + 1]
  -- Each goes through the steps in order, and no two are at the same one.
  local step = steps[(math.floor(turn / #people) + who) % #steps + 1]
  turn = turn + 1
  local headers = { Cookie = person.cookie }
  for name, value in pairs(wrk.headers) do headers[name] = value end
  if step == "write" then
    written = written + 1
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    local body = "form_token=" .. person.token .. "&kind=text&value=kept&key=w-"
    return wrk.format("POST", "/entries/new", headers, body .. first + written)
  end
  return wrk.format("GET", step, headers)
end
