#!/usr/bin/env node
/** The entry of the published package: says which Node it needs, gives it the flags of `npm start`, and runs the built program. */
const FLAGS = ['--max-semi-space-size=8', '--heap-growing-percent=50', '--no-parallel-scavenge']

const { argv, execArgv, execPath, stderr, versions } = process
const [major = 0, minor = 0] = versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 12)) {
  stderr.write(
    `qis: Node 24.12 or later is needed, and this is ${versions.node}; npm install node@24 puts one beside this package, for npx qis to find\n`,
  )
  process.exit(2)
}
const missing = FLAGS.filter(flag => !execArgv.includes(flag))
if (argv[2] === 'start' && missing.length > 0 && process.execve !== undefined) {
  // In the place of this process: signals, and whoever waits for its end, see one and the same.
  process.execve(execPath, [execPath, ...execArgv, ...missing, ...argv.slice(1)], process.env)
}
await import('../dist/cli/main.js')
