// Package static answers requests with files of a directory.
//
// It is for sites, assets and downloads; one fixed answer is `respond`. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	static: /var/www                         # short form: the directory
//
//	static:
//	  dir: /var/www                          # a relative name starts at the configuration's directory
//	  index: index.html                      # of a directory; a list is tried in order; [] for none
//	  spa: true                              # answer with the index of the root where nothing is found
//	  listing: false                         # list directories that have no index
//	  dotfiles: false                        # serve names that begin with a dot
//	  precompressed: true                    # use x.js.br, x.js.zst or x.js.gz beside x.js
//	  cache_control: public, max-age=3600
//	  strip_prefix: /assets                  # by default the literal path of the match before /**
//
// # Which file
//
// The path of the request, decoded and without `strip_prefix`, is the file's name below the directory: on a route with `match:
// /assets/**`, /assets/css/a.css is css/a.css. A directory is answered with its index, or its list with `listing`; without the
// slash at its end it redirects to the path with it. What is not there, or may not be read, is a 404 (file_not_found); with `spa` it
// is the index of the root instead, if the last part of the path has no dot, so that missing scripts and images stay missing.
//
// GET and HEAD are served; other methods get 405. Ranges (also several), conditional requests and If-Range are those of RFC 9110. ETags
// are made of time and size. Files stream from the disk whatever their size.
//
// # Security
//
// No path leads out of the directory: symbolic links are followed only as long as they are relative and stay within it. Names that
// begin with a dot are not there, except for .well-known at the root. Only regular files are served. The directory is opened for
// each request, so that a deployment may swap it.
//
// # Explain
//
// It says which file the request would get.
//
// # Metrics
//
// None of its own.
package static
