// One line a check on standard output, and the count at the end.
export class Report {
  #passed = 0;
  #failed = 0;
  #quiet;

  /** quiet: no line for what is as it should be. */
  constructor({ quiet = false } = {}) {
    this.#quiet = quiet;
  }

  get failed() {
    return this.#failed;
  }

  /** complaints: lines that say what is wrong, or undefined. */
  check(name, complaints) {
    if (!complaints?.length) {
      this.#passed++;
      if (!this.#quiet) console.log(`ok ${name}`);
      return;
    }
    this.#failed++;
    console.log(`FAIL ${name}`);
    for (const line of complaints) console.log(`     ${line}`);
  }

  /** Prints the count and returns the exit code. */
  end() {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }
}
