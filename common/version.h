#ifndef REC_VERSION_H
#define REC_VERSION_H

#define REC_VERSION "0.1.0"

#endif
