/*
 * report_style: the style sheet of the report, to stand between <style> and </style> before
 * chart_style. It defines the variables that the charts draw with.
 */
#ifndef REC_REPORT_STYLE_H
#define REC_REPORT_STYLE_H

extern const char report_style[];

#endif
