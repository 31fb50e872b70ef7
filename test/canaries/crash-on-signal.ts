/** Loaded into a sidecar before it starts, so that it can be brought down in the middle of its work as by a mistake of ours. */
process.once('SIGUSR2', () => {
  throw new Error('brought down on purpose')
})
