// Package compound has the commands that hold whole other commands: ONCE, FENCED and LS.TXN.
//
// Their keys are those of the commands within, and so is what they are refused for: a full
// memory, an unknown name, wrong arguments. That is why they need the table. What is refused
// before the command within ran leaves no trace: an idempotency id is not used up.
package compound
