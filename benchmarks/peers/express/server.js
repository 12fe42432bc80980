// Holdfast's list page as the documentation of Express and express-session has it:
// sessions in memory or in Redis, EJS views, better-sqlite3, scrypt for the password.
const crypto = require("node:crypto");
const path = require("node:path");
const Database = require("better-sqlite3");
const express = require("express");
const session = require("express-session");

const seed = JSON.parse(process.env.SEED);
const db = new Database(path.join(process.env.FOLDER, "express.db"));
db.pragma("journal_mode = WAL");
db.exec(`CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, salt BLOB, hash BLOB);
  CREATE TABLE entries (id INTEGER PRIMARY KEY, user_id INTEGER, key TEXT, kind TEXT,
    value TEXT, size INTEGER, updated_at TEXT);
  CREATE INDEX entries_of ON entries (user_id);`);
const addUser = db.prepare("INSERT INTO users (name, salt, hash) VALUES (?, ?, ?)");
const addEntry = db.prepare(
  "INSERT INTO entries (user_id, key, kind, value, size, updated_at) VALUES (?, ?, ?, ?, ?, ?)");
const findUser = db.prepare("SELECT * FROM users WHERE name = ?");
const userById = db.prepare("SELECT id, name FROM users WHERE id = ?");
const pageOf = db.prepare("SELECT * FROM entries WHERE user_id = ? ORDER BY id DESC LIMIT 21 OFFSET ?");
const figuresOf = db.prepare(`SELECT count(*) AS entries, coalesce(sum(size), 0) AS size,
  count(*) FILTER (WHERE updated_at >= ?) AS changed FROM entries WHERE user_id = ?`);

function keep(userId, key, kind, value) {
  const size = Buffer.byteLength(key) + Buffer.byteLength(value);
  addEntry.run(userId, key, kind, value, size, new Date().toISOString());
}

const salt = crypto.randomBytes(16);
addUser.run(seed.name, salt, crypto.scryptSync(seed.password, salt, 64));
for (const [key, [kind, value]] of Object.entries(seed.entries)) keep(1, key, kind, value);

function size(bytes) {
  return bytes < 1000 ? `${bytes} Bytes` : `${(bytes / 1000).toFixed(1)} kB`;
}

async function main() {
  const app = express();
  const options = { secret: crypto.randomBytes(32).toString("hex"), resave: false, saveUninitialized: false };
  if (process.env.REDIS_URL) {
    const { RedisStore } = require("connect-redis");
    const { createClient } = require("redis");
    const client = createClient({ url: process.env.REDIS_URL });
    await client.connect();
    options.store = new RedisStore({ client });
  }
  app.set("view engine", "ejs");
  app.set("views", path.join(__dirname, "views"));
  app.use(express.urlencoded({ extended: false }));
  app.use(session(options));

  const loggedIn = (req, res, next) => {
    req.user = req.session.userId && userById.get(req.session.userId);
    return req.user ? next() : res.redirect("/login");
  };
  app.get("/login", (req, res) => res.render("login"));
  app.post("/login", (req, res, next) => {
    const user = findUser.get(req.body.name);
    if (!user) return res.status(401).render("login");
    crypto.scrypt(req.body.password, user.salt, 64, (error, hash) => {
      if (error) return next(error);
      if (!crypto.timingSafeEqual(hash, user.hash)) return res.status(401).render("login");
      req.session.regenerate((failed) => {
        if (failed) return next(failed);
        req.session.userId = user.id;
        req.session.save((unsaved) => (unsaved ? next(unsaved) : res.redirect("/entries")));
      });
    });
  });
  app.get("/entries", loggedIn, (req, res) => {
    const page = Number(req.query.page) || 1;
    const rows = pageOf.all(req.user.id, (page - 1) * 20);
    const week = new Date(Date.now() - 7 * 86400e3).toISOString();
    const figures = figuresOf.get(week, req.user.id);
    res.render("entries", { user: req.user, rows: rows.slice(0, 20), more: rows.length > 20, page, figures, size });
  });
  app.post("/entries/new", loggedIn, (req, res) => {
    keep(req.user.id, req.body.key, req.body.kind, req.body.value);
    res.redirect("/entries");
  });
  app.listen(Number(process.env.PORT), "127.0.0.1");
}

main();
