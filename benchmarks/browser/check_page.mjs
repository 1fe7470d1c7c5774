// Opens a page in a real browser at desktop and phone width, light and dark; writes screenshots and
// a PDF, runs axe-core, and fails on a violation, a request to the network, a script error or
// sideways scrolling.
//
//   npm install --prefix benchmarks/browser
//   node benchmarks/browser/check_page.mjs report.html SCREENSHOTS [/usr/bin/chromium]
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const [page, folder, executablePath = '/usr/bin/chromium'] = process.argv.slice(2);
if (!folder) {
  console.error('usage: node check_page.mjs PAGE.html FOLDER [BROWSER]');
  process.exit(2);
}
fs.mkdirSync(folder, { recursive: true });
const address = 'file://' + path.resolve(page);
const name = path.basename(page, '.html');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
let failed = false;
for (const [width, device] of [[1280, 'desktop'], [390, 'phone']]) {
  for (const colorScheme of ['light', 'dark']) {
    const tab = await browser.newPage({ viewport: { width, height: 844 }, colorScheme });
    const requests = [], errors = [];
    tab.on('request', (r) => { if (!/^(file|data):/.test(r.url())) requests.push(r.url()); });
    tab.on('pageerror', (error) => errors.push(String(error)));
    await tab.goto(address);
    await tab.screenshot({ path: `${folder}/${name}-${device}-${colorScheme}.png`, fullPage: true });
    await tab.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
    await tab.evaluate(axe);
    const found = await tab.evaluate(() => window.axe.run(document));
    const sideways = await tab.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    console.log(`${device}, ${colorScheme}: ${found.violations.length} violations of ` +
      `${found.violations.length + found.passes.length} rules, ${requests.length} requests, ` +
      `${errors.length} errors, ${sideways} px sideways`);
    for (const rule of found.violations) console.log(`  ${rule.id}: ${rule.nodes[0].html}`);
    failed ||= found.violations.length + requests.length + errors.length + sideways > 0;
    await tab.close();
  }
}
const print = await browser.newPage();
await print.goto(address);
await print.pdf({ path: `${folder}/${name}.pdf`, format: 'A4' });
await browser.close();
process.exit(failed ? 1 : 0);
