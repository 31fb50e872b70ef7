/** A thread that ends its process when the parent is gone, because a run that hangs does not hear of it. */
import { workerData } from 'node:worker_threads'

const EVERY_MS = 500

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL')
}, EVERY_MS)
