/** A worker that ends its thread before it is loaded. */
import process from "node:process";
process.exit(4);
