// A real Chromium, steered over HTTP: POST a list of steps to /CONTEXT/TAB; the answer is what the last one says.
// A context is somebody's browser with cookies of its own. Ends with whoever started it.
import {createServer} from 'node:http';
import {chromium} from 'playwright-core';

// Less than the other end waits for an answer.
const PATIENCE = 60_000;
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const contexts = new Map();

const steps = {
  // How somebody's browser is: {viewport, colorScheme, javaScriptEnabled, ...}.
  async be({state}, options) {
    state.context = await browser.newContext(options);
    state.context.setDefaultTimeout(PATIENCE);
  },
  async go({page}, url) {
    const answer = await page.goto(url, {waitUntil: 'load'});
    return {status: answer?.status() ?? 0, headers: answer?.headers() ?? {}};
  },
  async click({page}, selector) {
    await page.click(selector);
  },
  async fill({page}, [selector, text]) {
    await page.fill(selector, text);
  },
  async press({page}, key) {
    await page.keyboard.press(key);
  },
  // A regular expression for the address.
  async until({page}, pattern) {
    await page.waitForURL(new RegExp(pattern), {waitUntil: 'load'});
  },
  async see({page}, selector) {
    await page.waitForSelector(selector);
  },
  async back({page}) {
    const answer = await page.goBack({waitUntil: 'load'});
    return answer?.status() ?? 0;
  },
  async reload({page}) {
    return (await page.reload({waitUntil: 'load'}))?.status() ?? 0;
  },
  async script({page}, text) {
    return await page.evaluate(text);
  },
  // Nobody knows this browser any more.
  async forget({state}) {
    await state.context.clearCookies();
  },
  // Where the provider sent the browser back to.
  async answers({tab}) {
    return tab.answers;
  },
  // Says yes where the provider asks for it, which it does not do twice.
  async agree({page}) {
    const form = page.locator('form:has(input[value=consent]) button[type=submit]');
    await Promise.race([form.waitFor(), page.waitForURL((url) => !url.pathname.startsWith('/interaction/'))]);
    if (await form.count()) await form.click();
  },
  // What goes there is held up, and its address kept. Below the level of routes, which see no redirects.
  async stop({tab, state, page}, part) {
    const wire = await state.context.newCDPSession(page);
    await wire.send('Fetch.enable', {patterns: [{urlPattern: `*${part}*`}]});
    tab.stopped = new Promise((resolve) => {
      wire.on('Fetch.requestPaused', ({requestId, request}) => {
        resolve(request.url);
        wire.send('Fetch.failRequest', {requestId, errorReason: 'Aborted'});
      });
    });
  },
  async stopped({tab}) {
    return await tab.stopped;
  },
  async cookies({state}) {
    return await state.context.cookies();
  },
  async keep({state}, cookies) {
    await state.context.addCookies(cookies);
  },
  async picture({page}, path) {
    await page.screenshot({path, fullPage: true});
  },
  async trouble({tab}) {
    return tab.trouble;
  },
};

async function tabOf(state, name) {
  const known = state.tabs.get(name);
  if (known) return known;
  const tab = {trouble: [], answers: []};
  tab.page = await state.context.newPage();
  tab.page.on('console', (line) => line.type() === 'error' && tab.trouble.push(line.text()));
  tab.page.on('pageerror', (error) => tab.trouble.push(String(error)));
  tab.page.on('request', (request) => request.url().includes('/callback?') && tab.answers.push(request.url()));
  state.tabs.set(name, tab);
  return tab;
}

async function walk(path, list) {
  const [, context, name] = path.split('/');
  if (!contexts.has(context)) contexts.set(context, {tabs: new Map()});
  const state = contexts.get(context);
  let said = null;
  for (const [verb, argument] of list) {
    if (verb === 'close') {
      contexts.delete(context);
      await state.context?.close();
      return null;
    }
    if (verb !== 'be' && !state.context) await steps.be({state}, {});
    const tab = verb === 'be' ? undefined : await tabOf(state, name);
    try {
      said = await steps[verb]({state, tab, page: tab?.page}, argument) ?? null;
    } catch (error) {
      const text = await tab?.page.innerText('body').catch(() => '');
      throw new Error(`${verb} ${JSON.stringify(argument)} at ${tab?.page.url()}: ${error.message}\n${text}`);
    }
  }
  const {page} = state.tabs.get(name) ?? {};
  return {said, url: page?.url() ?? '', text: await page?.innerText('body').catch(() => '') ?? ''};
}

const server = createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; });
  request.on('end', async () => {
    const [status, answer] = await walk(request.url, JSON.parse(body)).then((said) => [200, said], (error) => [500, error.message]);
    response.writeHead(status, {'content-type': 'application/json', connection: 'close'}).end(JSON.stringify(answer));
  });
});
process.stdin.resume().on('end', async () => {
  await browser.close();
  process.exit();
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`up ${server.address().port}\n`));
