// Package filter is the vocabulary of policies: the Exchange that they see, the phases in which they see it, the stages that
// order them, the Env that they are built with, and the Error with which they refuse.
//
// It holds no policy and no engine. Policies import it, built-in and foreign ones alike; the engine runs what they build.
package filter
