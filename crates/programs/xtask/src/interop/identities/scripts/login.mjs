// A person at a browser: logs in at URL as NAME and agrees to what is asked.
// node login.mjs URL NAME PASSWORD
import { chromium } from 'playwright-core';

const [url, name, password] = process.argv.slice(2);
const END = /success|you may now|you can (now )?close|device .*(connected|logged in)|signed in/i;
const LIMIT_MS = 60_000;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
const begin = Date.now();
try {
  const page = await browser.newPage();
  await page.goto(url);
  for (;;) {
    const text = await page.locator('body').innerText();
    if (new URL(page.url()).pathname === '/auth/callback' || END.test(text)) break;
    if (Date.now() - begin > LIMIT_MS) throw new Error(`still at ${page.url()}: ${text.slice(0, 400)}`);
    const login = page.locator('input[name=login], input[name=username]');
    if (await login.count()) {
      await login.first().fill(name);
      await page.locator('input[type=password]').first().fill(password);
    }
    const before = page.url() + text;
    await page.locator('button[type=submit], input[type=submit], button[autofocus]').first().click();
    // The next page, or the same one with an error on it.
    await page.waitForFunction(
      (old) => document.readyState === 'complete' && location.href + document.body.innerText !== old,
      before,
      { timeout: LIMIT_MS },
    ).catch((error) => { if (!/navigation|destroyed/.test(error.message)) throw error; });
  }
} catch (error) {
  console.error(`login as ${name}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
