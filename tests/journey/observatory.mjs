// What MDN's HTTP Observatory says of one page, as JSON. Its own `scan` knows neither of
// ports nor of somebody who is logged in; what is asked here are its parts, in its order.

import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const part = (path) => import.meta.resolve(`@mdn/mdn-http-observatory/${path}`);
// It is downloaded when the package is installed with its scripts. No host of a test is on it.
const preloaded = fileURLToPath(part("conf/hsts-preload.json"));
if (!existsSync(preloaded)) writeFileSync(preloaded, "{}");

const { retrieve } = await import(part("src/retriever/retriever.js"));
const { ALL_TESTS } = await import(part("src/constants.js"));
const { getGradeForScore, getScoreModifier } = await import(part("src/grader/grader.js"));
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await import(part("src/grader/charts.js"));

const { host, path, httpPort, httpsPort, cookie, setCookie } = JSON.parse(process.argv[2]);
const headers = ["Accept: text/html", ...(cookie ? [`Cookie: ${cookie}`] : [])];
const found = await retrieve(host, { path, httpPort, httpsPort, headers });
// What the log-in answered: it belongs to what this person's browser was told.
for (const each of setCookie) found.session.jar.setCookieSync(each, found.session.url.href);

const topics = ALL_TESTS.map((test) => test(found)).map((said) => ({
  name: said.constructor.name,
  result: said.result,
  points: getScoreModifier(said.result),
  most: Math.max(...said.constructor.possibleResults.map(getScoreModifier)),
}));
const sum = (points) => points.reduce((all, each) => all + each, 100);
const points = topics.map((topic) => topic.points);
const without = sum(points.filter((each) => each < 0));
const { grade, score } = getGradeForScore(without < MINIMUM_SCORE_FOR_EXTRA_CREDIT ? without : sum(points));
const status = found.responses.auto.status;
console.log(JSON.stringify({ status, grade, score, most: sum(topics.map((topic) => topic.most)), topics }));
