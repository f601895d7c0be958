// A wire between the CA and a provider: node proxy.mjs PORT TARGET STATE.
// The file STATE has `up`, `down`, or how many milliseconds each connection waits before anything passes.
import { readFileSync } from 'node:fs';
import net from 'node:net';

const [port, target, state] = process.argv.slice(2);

net
  .createServer((caller) => {
    const now = readFileSync(state, 'utf8').trim();
    caller.on('error', () => caller.destroy());
    if (now === 'down') return void caller.destroy();
    setTimeout(() => {
      const provider = net.connect(Number(target), '127.0.0.1');
      provider.on('error', () => caller.destroy());
      caller.on('close', () => provider.destroy());
      provider.on('close', () => caller.destroy());
      caller.pipe(provider).pipe(caller);
    }, Number(now) || 0);
  })
  .listen(Number(port), '127.0.0.1', () => console.log('ready'));
